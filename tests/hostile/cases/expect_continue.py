"""A body that is announced as too large gets 413 at once, and no 100 Continue."""

from rig import KEYS, written


async def run(rig):
    upstream = await rig.upstream()
    router = await rig.router(rig.config(upstream, keys={"team": "requests_per_minute = 1"}))
    own = {"authorization": f"Bearer {KEYS['team']}", "expect": "100-continue"}
    client = await rig.connect(router)
    await client.send(written("POST", "/v1/chat/completions", {**own, "content-length": str(100 << 20)}, b"x")[:-1])
    status, _ = await client.read_head(1.5)
    rig.check(status == 413, f"expected 413 first, found {status}")
    # One that fits is asked for, and counts; the next is refused before it is sent.
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}'
    whole = written("POST", "/v1/chat/completions", own, body)
    head, rest = whole[: -len(body)], whole[-len(body) :]
    client = await rig.connect(router)
    await client.send(head)
    status, _ = await client.read_head(5)
    rig.check(status == 100, f"expected 100 Continue, found {status}")
    await client.send(rest)
    given = await client.read_answer(5)
    rig.check(given.status == 200, f"expected 200, found {given}")
    client = await rig.connect(router)
    await client.send(head)
    status, _ = await client.read_head(1.5)
    rig.check(status == 429, f"expected 429 by the head alone, found {status}")
