"""A router that is asked to stop waits for requests in flight, and for nothing else."""

import asyncio
import signal
import time

from rig import answer, chat, written

NEEDS_H2 = True


async def run(rig):
    async def slow(connection, request):
        await asyncio.sleep(2)
        await answer(connection, request)

    upstream = await rig.upstream(slow)
    router = await rig.router(rig.config(upstream, server="drain_ms = 20000"))
    half = await rig.connect(router)
    await half.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n")
    http2 = await rig.connect_h2(router)
    health = await http2.answer(await http2.request("GET", "/healthz"), 5)
    rig.check(health.status == 200, f"expected 200, found {health}")
    asked = await rig.connect(router)
    await asked.send(written("POST", "/v1/chat/completions", {}, chat()))
    while not upstream.requests:
        await asyncio.sleep(0.02)
    began = time.monotonic()
    router.process.send_signal(signal.SIGTERM)
    given = await asked.read_answer(10)
    rig.check(given.status == 200, f"expected the request in flight to be answered, found {given}")
    await asyncio.wait_for(router.process.wait(), 10)
    took = time.monotonic() - began
    rig.check(took < 6, f"expected it to end soon after the answer, found {took:.1f} s")
    rig.check("cut at the end" not in router.output(), "expected no line that requests were cut")
