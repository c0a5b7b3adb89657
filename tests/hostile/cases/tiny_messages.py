"""Bodies of a million tiny messages get a 400 that names the bound, without holding up or starving anybody."""

import asyncio

from rig import LIMIT_MIB

ALONE = True
SECONDS = 60


async def run(rig):
    upstream = await rig.upstream()
    router = await rig.router(rig.config(upstream, keys={"team": "", "other": ""}), limit_mib=LIMIT_MIB)
    message = b'{"role":"user","content":"x"},'
    many = b'{"model":"gpt-4o","messages":[' + message * 300_000 + b'{"role":"user","content":"x"}]}'
    malformed = many[:-2] + b',{"role":5}]}'
    deep = b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    wide = b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]' + b"".join(b',"f%d":1' % n for n in range(9_000)) + b"}"
    async with rig.well_behaved(router, "team"):
        for body, word in ((many, "items"), (malformed, "items"), (deep, "levels"), (wide, "fields")):
            answers = await asyncio.gather(*(rig.ask(router, body, key="other", seconds=40) for _ in range(3)))
            for given in answers:
                rig.check(given.status in (400, 503), f"expected 400 or 503, found {given}")
            clear = [given for given in answers if given.status == 400]
            rig.check(clear, f"expected a 400 for one at least, found {answers}")
            rig.check(all(word in given.json["error"]["message"] for given in clear), f"expected {word!r}, found {clear[0]}")
    rig.check_memory(router)
