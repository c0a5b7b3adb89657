"""Answers that nobody reads hold their slots and a bounded amount of memory, and their readers are disconnected."""

import asyncio
import json

from rig import KEYS, LIMIT_MIB, chat, completion, written

ALONE = True
SECONDS = 60


LARGE = json.dumps(completion("x" * (8 << 20))).encode()


async def large(connection, request):
    await connection.full(LARGE if b"large" in request.body else completion())


async def run(rig):
    upstream = await rig.upstream(large)
    server = "max_in_flight = 60\nwrite_idle_ms = 3000"
    config = rig.config(upstream, server=server, keys={"team": "", "other": ""})
    router = await rig.router(config, limit_mib=LIMIT_MIB)
    before = router.files()
    request = written("POST", "/v1/chat/completions", {"authorization": f"Bearer {KEYS['other']}"}, chat("large"))
    async with rig.well_behaved(router, "team"):
        clients = []
        for _ in range(100):
            client = await rig.connect(router, receive_bytes=4096)
            client.stop_reading()
            await client.send(request)
            clients.append(client)
        # A key's share is half of the slots: the others are told so, which their sockets can hold.
        await asyncio.sleep(1)
        given = await rig.ask(router, key="other")
        rig.check(given.status == 429, f"expected 429 while its slots are held by unread answers, found {given}")
        until = asyncio.get_running_loop().time() + 30
        while (given := await rig.ask(router, key="other")).status != 200:
            rig.check(asyncio.get_running_loop().time() < until, f"the slots never came back: {given}")
            await asyncio.sleep(0.2)
    rig.check_memory(router)
    for client in clients:
        client.close()
    # Idle connections to the upstream are kept for later requests, at most as many as were served at once.
    kept = upstream.open
    rig.check(await router.files_return(before, slack=kept + 2), f"open files: {before} before, {router.files()} after")
