"""A key that floods the queue of a full provisioned deployment holds nobody else up: others are served within seconds."""

import asyncio
import time

from rig import LIMIT_MIB, chat, completion

ALONE = True
SECONDS = 45
FLOOD = 80
# 6,250 tokens a second; a flood's request uses 1,200 of them, another key's 120.
DEPLOYMENT = """
[deployments.d1]
endpoint = "up"
model = "gpt-4o"
azure_deployment = "d1"
billing = "provisioned"
area = "global"
ptu = 150
window_ms = 1000
"""


async def answer(connection, request):
    used = 300 if request.json["max_tokens"] > 100 else 30
    usage = {"prompt_tokens": 10, "completion_tokens": used, "total_tokens": 10 + used}
    await asyncio.sleep(0.05)
    await connection.full(completion() | {"usage": usage})


async def run(rig):
    upstream = await rig.upstream(answer)
    config = rig.config(upstream, keys={"team": "", "other": ""})
    payg = config[config.index("[deployments.d1]") : config.index("[roles]")]
    router = await rig.router(config.replace(payg, DEPLOYMENT), limit_mib=LIMIT_MIB)
    over = asyncio.Event()

    async def flood():
        """One place of the flood: asks again as soon as it has been refused or answered."""
        served = 0
        while not over.is_set():
            given = await rig.ask(router, chat(max_tokens=500), key="other")
            served += given.status == 200
            await asyncio.sleep(0.02 if given.status == 200 else 1.0)
        return served

    places = [asyncio.ensure_future(flood()) for _ in range(FLOOD)]
    await asyncio.sleep(2)
    took = []
    for _ in range(8):
        began = time.monotonic()
        given = await rig.ask(router, chat(max_tokens=50), key="team")
        took.append(time.monotonic() - began)
        rig.check(given.status == 200, f"expected an answer for the key that does not flood, found {given}")
    over.set()
    served = await asyncio.gather(*places)
    # Alone it takes a twentieth of a second; a second of the deployment's work at most goes first.
    rig.check(sorted(took)[len(took) // 2] < 2, f"expected answers within two seconds, found {took}")
    rig.check(sum(served) >= 10, f"expected the flood to get what is left, found {sum(served)} answers")
    rig.check_memory(router)
