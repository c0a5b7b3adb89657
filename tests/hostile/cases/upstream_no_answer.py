"""A 200 that is no answer never reaches a caller, and a kept-alive connection that dies under a request costs nobody an answer."""

from rig import answer, chat

BODIES = [b"", b"<html>sign in</html>", b"{}", b'{"choices":null}', b'{"id":"c1","choices":[{"index":0,"mess', b"null"]


async def run(rig):
    async def handler(connection, request):
        text = request.json["messages"][0]["content"]
        if text.startswith("body "):
            return await connection.full(BODIES[int(text.removeprefix("body "))])
        # Each connection answers once and closes under its second request.
        if getattr(connection, "used", False):
            return False
        connection.used = True
        await answer(connection, request)

    upstream = await rig.upstream(handler)
    more = "\n[limits]\nfault_cooldown_ms = 1\nfault_cooldown_max_ms = 1\n"
    router = await rig.router(rig.config(upstream, more=more))
    for stream in (False, True):
        for number in range(len(BODIES)):
            given = await rig.ask(router, chat(f"body {number}", stream=stream))
            rig.check(given.status == 502, f"expected 502 for {BODIES[number]}, found {given}")
    for number in range(20):
        given = await rig.ask(router)
        rig.check(given.status == 200, f"expected 200 for request {number}, found {given}")
