"""Embeddings larger than max_answer_bytes are relayed as they arrive, and the deployment has no fault for it."""

import asyncio

from rig import LIMIT_MIB

ALONE = True
SECONDS = 60
FLOATS = 3_072


async def embed(connection, request):
    await connection.head(kind="application/json")
    await connection.chunk('{"object":"list","data":[')
    numbers = ",".join(["-0.01234567890123456789"] * FLOATS)
    for at in range(2_048):
        await connection.chunk(("," if at else "") + f'{{"object":"embedding","index":{at},"embedding":[{numbers}]}}')
    await connection.chunk('],"model":"text-embedding-3-large","usage":{"prompt_tokens":9,"total_tokens":9}}')
    await connection.end()


async def run(rig):
    upstream = await rig.upstream(embed)
    more = (
        '[deployments.e1]\nendpoint = "up"\nmodel = "text-embedding-3-large"\nazure_deployment = "e1"\n'
        'billing = "pay_as_you_go"\narea = "global"\n'
    )
    router = await rig.router(rig.config(upstream, more=more), limit_mib=LIMIT_MIB)
    body = {"model": "text-embedding-3-large", "input": ["x"] * 2_048}
    answers = await asyncio.gather(*(rig.request(router, "POST", "/v1/embeddings", body, seconds=55) for _ in range(2)))
    for given in answers:
        rig.check(given.status == 200 and given.ended == "complete", f"expected a whole answer, found {given}")
        rig.check(len(given.body) > 100 << 20, f"expected over 100 MiB, found {len(given.body)} bytes")
        rig.check(given.body.endswith(b'"total_tokens":9}}'), "expected the end of the answer")
    rig.check(len(upstream.requests) == 2, f"expected one attempt each, found {len(upstream.requests)}")
    rig.check_memory(router)
