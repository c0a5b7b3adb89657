"""An upstream that sends comments without end before its answer is left; memory stays and other callers are answered in time."""

import asyncio

from rig import answer, chat

ALONE = True


async def run(rig):
    async def endless(connection, request):
        if b"endless" not in request.body:
            return await answer(connection, request)
        await connection.head()
        while True:
            await connection.chunk(b": still alive\n\n" * 4096)

    upstream = await rig.upstream(endless)
    router = await rig.router(rig.config(upstream), limit_mib=512)
    async with rig.well_behaved(router):
        for _ in range(8):
            streams = [rig.ask(router, chat("endless", stream=True), seconds=20) for _ in range(8)]
            for given in await asyncio.gather(*streams):
                rig.check(given.status in (502, 503), f"expected a refusal, found {given}")
    rig.check_memory(router)
