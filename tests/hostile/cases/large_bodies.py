"""Large bodies are parsed and scored beside the serving threads: others are answered promptly meanwhile."""

import asyncio

from rig import LIMIT_MIB

ALONE = True
SECONDS = 60


async def run(rig):
    upstream = await rig.upstream()
    router = await rig.router(rig.config(upstream, keys={"team": "", "other": ""}), limit_mib=LIMIT_MIB)
    # Many parts, each of which is parsed; the last is malformed, which must not make it parsed twice.
    part = b'{"type":"text","text":"a few words \\u00e9 here"},'
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":[' + part * 40_000 + b'{"type":5}]}]}'
    async with rig.well_behaved(router, "team"):
        for _ in range(2):
            answers = await asyncio.gather(*(rig.ask(router, body, key="other", seconds=40) for _ in range(4)))
            for given in answers:
                rig.check(given.status in (400, 503), f"expected 400 or 503, found {given}")
    rig.check_memory(router)
