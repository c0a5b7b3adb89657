"""A request that is itself at fault (larger than the quota, or for an object that does not exist) closes nothing to others."""

import asyncio
import json

from rig import chat, completion

TOO_LARGE = {
    "error": {
        "message": "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 36278.",
        "type": "tokens",
        "param": None,
        "code": "rate_limit_exceeded",
    }
}
NO_FILE = {"error": {"message": "No such File object: file-1234", "type": "invalid_request_error", "param": None, "code": None}}
TURNS = 12


async def handler(connection, request):
    if len(request.body) > 50_000:
        await connection.full(json.dumps(TOO_LARGE), 429, headers=[("retry-after-ms", "20000")])
    elif b"file-1234" in request.body:
        await connection.full(json.dumps(NO_FILE), 404)
    else:
        await connection.full(json.dumps(completion()))


async def run(rig):
    upstream = await rig.upstream(handler)
    router = await rig.router(rig.config(upstream, keys={"team": "", "other": ""}))
    abuses = [(chat("word " * 36_000), 429), (chat("read file-1234"), 404)]

    async def abuse():
        for turn in range(TURNS):
            body, status = abuses[turn % len(abuses)]
            given = await rig.ask(router, body=body, key="other")
            rig.check(given.status == status, f"expected {status}, found {given}")
            retry = given.headers.get("x-should-retry")
            rig.check(status != 429 or retry == "false", f"expected x-should-retry: false, found {retry}")

    async with rig.well_behaved(router, key="team"):
        await abuse()
        # As long as the wait named above would close the deployment at the least to several requests.
        for _ in range(4):
            given = await rig.ask(router, key="team")
            rig.check(given.status == 200, f"expected 200 beside an abuser, found {given}")
            await asyncio.sleep(0)
    large = sum(len(request.body) > 50_000 for request in upstream.requests)
    rig.check(large == 1, f"expected one request above the quota upstream, found {large}")
