"""Connections that send nothing, or half of something, are closed in time and never keep anybody out."""

import asyncio
import time

from rig import chat

SECONDS = 45
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


async def run(rig):
    upstream = await rig.upstream()
    router = await rig.router(rig.config(upstream, keys={"team": ""}), files=256)
    before = router.files()
    starts = [b"", PREFACE[:10], b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n", PREFACE]
    async with rig.well_behaved(router, "team", seconds=2):
        began = time.monotonic()
        clients = []
        for at in range(400):
            client = await rig.connect(router)
            try:
                await client.send(starts[at % len(starts)])
            except ConnectionError:
                pass
            clients.append(client)
        gone = await asyncio.gather(*(client.wait_closed(20) for client in clients))
        took = time.monotonic() - began
    rig.check(all(gone), f"expected all to be closed, {gone.count(False)} are open")
    rig.check(took < 18, f"expected them to be closed within 10 s, found {took:.1f} s")
    for client in clients:
        client.close()
    rig.check(await router.files_return(before + 4), f"open files: {before} before, {router.files()} after")
    lines = [line for line in router.output().splitlines() if '"WARN"' in line]
    rig.check(len(lines) <= took + 2, f"expected a line a second, found {len(lines)}: {lines[:2]}")
