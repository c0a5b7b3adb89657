"""Stored responses are read, deleted and cancelled within all limits of the router and the key."""

import asyncio

from rig import chat

RESPONSE = {
    "id": "resp_1", "object": "response", "status": "completed", "model": "gpt-4o", "created_at": 1,
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}],
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
}


async def run(rig):
    at_once = [0, 0]

    async def slow(connection, request):
        if request.method == "POST" and not request.target.split("?")[0].endswith("/cancel"):
            return await connection.full(RESPONSE)
        at_once[0] += 1
        at_once[1] = max(at_once)
        await asyncio.sleep(0.5)
        at_once[0] -= 1
        await connection.full(RESPONSE)

    upstream = await rig.upstream(slow)
    keys = {"team": "max_in_flight = 1", "other": "requests_per_minute = 3"}
    router = await rig.router(rig.config(upstream, keys=keys))
    for key in keys:
        made = await rig.request(router, "POST", "/v1/responses", {"model": "gpt-4o", "input": "hi"}, key)
        rig.check(made.status == 200, f"expected a response, found {made}")
    path = "/v1/responses/resp_1"
    calls = [("GET", path), ("GET", f"{path}/input_items"), ("POST", f"{path}/cancel")] * 10
    # The last to make it owns it: the second key. Its rate leaves two calls.
    answers = await asyncio.gather(*(rig.request(router, method, where, key="other") for method, where in calls))
    statuses = [given.status for given in answers]
    rig.check(statuses.count(429) == 28 and statuses.count(200) == 2, f"expected 2 of 30 within the rate, found {statuses}")
    made = await rig.request(router, "POST", "/v1/responses", {"model": "gpt-4o", "input": "hi"}, "team")
    rig.check(made.status == 200, f"expected a response, found {made}")
    answers = await asyncio.gather(*(rig.request(router, method, where, key="team") for method, where in calls))
    statuses = [given.status for given in answers]
    rig.check(at_once[1] <= 2, f"expected one call of the key at once, found {at_once[1]}")
    rig.check(statuses.count(429) >= 20 and 200 in statuses, f"expected 429 beyond one at once, found {statuses}")
