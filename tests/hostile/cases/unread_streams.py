"""A stream that is never read ends after write_idle_ms: reader disconnected, upstream call cancelled, slot free."""

import asyncio

from rig import KEYS, answer, chat, chunk, written


async def endless(connection, request):
    if b"endless" not in request.body:
        return await answer(connection, request)
    await connection.head()
    while True:
        await connection.event(chunk({"content": "x" * 4000}))


async def run(rig):
    upstream = await rig.upstream(endless)
    config = rig.config(upstream, server="max_in_flight = 8\nwrite_idle_ms = 2000", keys={"team": "", "other": ""})
    router = await rig.router(config)
    headers = {"authorization": f"Bearer {KEYS['other']}"}
    clients = []
    for _ in range(4):
        client = await rig.connect(router, receive_bytes=4096)
        client.stop_reading()
        await client.send(written("POST", "/v1/chat/completions", headers, chat("endless", stream=True)))
        clients.append(client)
    async with rig.well_behaved(router, "team", seconds=2):
        until = asyncio.get_running_loop().time() + 20
        while upstream.hung_up < 4:
            rig.check(asyncio.get_running_loop().time() < until, f"expected 4 cancelled calls, found {upstream.hung_up}")
            await asyncio.sleep(0.1)
        given = await rig.ask(router, key="other")
    rig.check(given.status == 200, f"expected the key's slots to be free, found {given}")
