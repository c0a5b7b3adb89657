"""A caller without a valid key is refused before its body arrives, and reaches no upstream."""

from rig import chat, written


async def run(rig):
    upstream = await rig.upstream()
    router = await rig.router(rig.config(upstream, keys={"team": ""}))
    for headers in ({}, {"authorization": "Bearer mr_wrong"}):
        client = await rig.connect(router)
        # The head announces a body that never comes.
        head = written("POST", "/v1/chat/completions", {**headers, "content-length": "1000"}, chat())
        await client.send(head.split(b"\r\n\r\n")[0] + b"\r\n\r\n")
        given = await client.read_answer(5)
        rig.check(given.status == 401, f"expected 401, found {given}")
    rig.check(not upstream.requests, "expected no request upstream")
    given = await rig.ask(router, key="team")
    rig.check(given.status == 200, f"expected 200 for a valid key, found {given}")
