"""An HTTP/2 peer that answers no ping is disconnected, although a request is under way, and its upstream call ends."""

import asyncio

from rig import chat, closed

NEEDS_H2 = True
SECONDS = 60


async def run(rig):
    left = asyncio.Event()

    async def hang(connection, request):
        await closed(connection)
        left.set()

    router = await rig.router(rig.config(await rig.upstream(hang)))
    client = await rig.connect_h2(router)
    await client.request("POST", "/v1/chat/completions", body=chat())
    await client.pump(0.2)
    # From now on nothing is answered: what arrives is thrown away. A ping goes out every 20 s and may take 10 s.
    async with asyncio.timeout(45):
        while await client.reader.read(1 << 16):
            pass
    await asyncio.wait_for(left.wait(), 5)
