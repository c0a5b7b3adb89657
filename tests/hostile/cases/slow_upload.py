"""An upload that keeps flowing succeeds however long it takes; one that falls below the least rate is a 408."""

import asyncio
import json

from rig import KEYS, chat, written

SECONDS = 60


async def run(rig):
    server = "min_upload_bytes_per_second = 1024"
    router = await rig.router(rig.config(await rig.upstream(), server=server, keys={"team": "", "other": ""}))
    body = json.dumps({**chat(), "user": "x" * (64 << 10)}).encode()

    async def upload(key, pieces, seconds):
        client = await rig.connect(router)
        head = written("POST", "/v1/chat/completions", {"authorization": f"Bearer {KEYS[key]}", "content-length": str(len(body))})
        await client.send(head)
        reading = asyncio.ensure_future(client.read_answer(seconds + 20))
        size = -(-len(body) // pieces)
        for at in range(0, len(body), size):
            if reading.done():
                break
            await client.send(body[at : at + size])
            await asyncio.sleep(seconds / pieces)
        return await reading

    # 64 KB in 25 s are 2.6 KB a second: over two of the periods of 10 s in which the rate is measured.
    flowing, starving = await asyncio.gather(upload("team", 50, 25), upload("other", 400, 400))
    rig.check(flowing.status == 200, f"expected 200 for an upload that flows, found {flowing}")
    rig.check(starving.status == 408, f"expected 408 for one of 160 bytes a second, found {starving}")
