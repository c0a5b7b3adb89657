"""Streams over HTTP/2 that are reset as soon as they are opened end their connection, and hold up nobody else."""

from rig import chat

NEEDS_H2 = True


async def run(rig):
    router = await rig.router(rig.config(await rig.upstream(), keys={"team": "", "other": ""}))
    async with rig.well_behaved(router, "team", seconds=2):
        for _ in range(60):
            client = await rig.connect_h2(router)
            alive = True
            try:
                for _ in range(400):
                    stream = client.h2.get_next_available_stream_id()
                    fields = [(":method", "POST"), (":path", "/v1/chat/completions"), (":scheme", "http"), (":authority", "127.0.0.1")]
                    client.h2.send_headers(stream, fields, end_stream=False)
                    client.h2.reset_stream(stream)
                await client.flush()
                while alive and not client.goaway:
                    alive = await client.pump(2)
                    if alive and not client.goaway and client.h2.streams == {}:
                        break
            except ConnectionError:
                alive = False
            rig.check(client.goaway or not alive, "expected the connection to be closed after hundreds of resets")
            client.close()
    given = await rig.ask(router, chat(), "team")
    rig.check(given.status == 200, f"expected 200 afterwards, found {given}")
