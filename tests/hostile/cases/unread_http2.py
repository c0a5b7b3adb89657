"""Answers over HTTP/2 whose window is closed hold a bounded amount of memory, and their streams are reset alone."""

import asyncio
import json

from rig import KEYS, LIMIT_MIB, chat, completion

ALONE = True
NEEDS_H2 = True
SECONDS = 60


LARGE = json.dumps(completion("x" * (4 << 20))).encode()


async def large(connection, request):
    await connection.full(LARGE if b"large" in request.body else completion())


async def run(rig):
    upstream = await rig.upstream(large)
    server = "max_in_flight = 400\nwrite_idle_ms = 3000"
    config = rig.config(upstream, server=server, keys={"team": "", "other": ""})
    router = await rig.router(config, limit_mib=LIMIT_MIB)
    key = {"authorization": f"Bearer {KEYS['other']}"}
    clients = [await rig.connect_h2(router, window=0) for _ in range(5)]
    async with rig.well_behaved(router, "team"):
        streams = []
        for client in clients:
            for _ in range(40):
                streams.append((client, await client.request("POST", "/v1/chat/completions", key, chat("large"))))
        until = asyncio.get_running_loop().time() + 30
        while not all(stream in client.ended for client, stream in streams):
            left = sum(stream not in client.ended for client, stream in streams)
            rig.check(asyncio.get_running_loop().time() < until, f"expected all streams to be reset, {left} are open")
            alive = [await client.pump(0.05) for client in clients]
            rig.check(all(alive), "expected the connections to stay open")
    rig.check_memory(router)
    # The connection still serves whoever reads.
    client = clients[0]
    client.h2.update_settings({4: 65_535})
    given = await client.answer(await client.request("POST", "/v1/chat/completions", key, chat("small")), 5)
    rig.check(given.status == 200 and given.ended == "complete", f"expected 200 on the same connection, found {given}")
