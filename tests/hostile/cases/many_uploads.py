"""Beyond the memory for bodies large ones get 503 with a wait, and small requests are still answered."""

import asyncio
import json

from rig import LIMIT_MIB, chat

ALONE = True
SECONDS = 60


async def slow(connection, request):
    """Answers as slowly as a model does, so that bodies are held."""
    from rig import answer

    if len(request.body) > 100_000:
        await asyncio.sleep(2)
    await answer(connection, request)


async def run(rig):
    upstream = await rig.upstream(slow)
    router = await rig.router(rig.config(upstream, keys={"team": "", "other": ""}), limit_mib=LIMIT_MIB)
    before = router.files()
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * (6 << 20)}}
    body = json.dumps(chat([image])).encode()
    async with rig.well_behaved(router, "team"):
        answers = await asyncio.gather(*(rig.ask(router, body, key="other", seconds=45) for _ in range(40)))
    served = [given for given in answers if given.status == 200]
    refused = [given for given in answers if given.status == 503]
    rig.check(len(served) + len(refused) == 40, f"expected 200 or 503, found {[a.status for a in answers]} {answers[0]}")
    rig.check(served, "expected some of the large requests to be answered")
    rig.check(refused, "expected some of the large requests to be refused")
    rig.check(all("retry-after" in given.headers for given in refused), f"expected retry-after, found {refused[0].headers}")
    rig.check_memory(router)
    # Idle connections to the upstream are kept for later requests, at most as many as were served at once.
    kept = upstream.open
    rig.check(await router.files_return(before, slack=kept + 2), f"open files: {before} before, {router.files()} after")
