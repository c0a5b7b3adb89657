"""Without keys, no web page reaches a router on loopback: Host, Origin and content type are checked."""

from rig import chat


async def run(rig):
    upstream = await rig.upstream()
    router = await rig.router(rig.config(upstream))
    for path in ("/", "/metrics", "/v1/models", "/healthz"):
        given = await rig.request(router, path=path, headers={"host": "evil.example"})
        rig.check(given.status == 403, f"{path}: expected 403 for a foreign host, found {given}")
    for origin in ("http://evil.example", "null"):
        given = await rig.ask(router, headers={"origin": origin})
        rig.check(given.status == 403, f"expected 403 for the origin {origin}, found {given}")
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        given = await rig.ask(router, headers={"content-type": kind})
        rig.check(given.status == 415, f"expected 415 for {kind}, found {given}")
    rig.check(not upstream.requests, "expected no request upstream")
    for headers in ({"host": f"localhost:{router.port}"}, {"origin": "http://localhost:3000"}, {"host": "[::1]"}):
        given = await rig.ask(router, chat(), headers=headers)
        rig.check(given.status == 200, f"{headers}: expected 200, found {given}")
