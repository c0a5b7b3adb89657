"""Bodies that are announced and never come cost a limited key's callers, and nobody else, their time; they take no memory."""

import asyncio

from rig import KEYS, LIMIT_MIB, written

ALONE = True
SECONDS = 40
CONNECTIONS = 281


async def run(rig):
    upstream = await rig.upstream()
    keys = {"team": "", "other": "requests_per_minute = 1"}
    router = await rig.router(rig.config(upstream, keys=keys), limit_mib=LIMIT_MIB)
    before = router.files()
    headers = {"authorization": f"Bearer {KEYS['other']}", "content-length": str(31 << 20)}
    head = written("POST", "/v1/chat/completions", headers, b"x")[:-1]
    async with rig.well_behaved(router, "team"):
        clients = []
        for _ in range(CONNECTIONS):
            client = await rig.connect(router)
            await client.send(head + b'{"messages":[' + b" " * 100)
            clients.append(client)
        answers = await asyncio.gather(*(client.read_answer(15) for client in clients))
    statuses = [answer.status for answer in answers]
    rig.check(statuses.count(429) == CONNECTIONS - 1, f"expected 429 for all but one, found {set(statuses)}")
    rig.check(statuses.count(408) == 1, "expected 408 for the one that was let in and stopped")
    rig.check_memory(router, 120)
    for client in clients:
        client.close()
    rig.check(await router.files_return(before), f"open files: {before} before, {router.files()} after")
