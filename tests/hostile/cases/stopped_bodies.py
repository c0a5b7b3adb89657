"""Bodies that stop after one byte hold no slot of the router."""

import asyncio

from rig import KEYS, written


async def run(rig):
    upstream = await rig.upstream()
    router = await rig.router(rig.config(upstream, server="max_in_flight = 10", keys={"team": "", "other": ""}))
    head = written("POST", "/v1/chat/completions", {"authorization": f"Bearer {KEYS['other']}", "content-length": "1000"}, b"{")
    async with rig.well_behaved(router, "team", seconds=2):
        clients = []
        for _ in range(50):
            client = await rig.connect(router)
            await client.send(head)
            clients.append(client)
        answers = await asyncio.gather(*(client.read_answer(20) for client in clients))
    rig.check({given.status for given in answers} == {408}, f"expected 408, found {answers[0]}")
