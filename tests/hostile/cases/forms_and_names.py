"""No way of writing a request shows the router one model or object and the upstream another."""

from rig import chat

KIND = "multipart/form-data; boundary=XyZ"
END = b"--XyZ--\r\n"


def part(head, text):
    return f"--XyZ\r\n{head}\r\n\r\n{text}\r\n".encode()


def field(parameters, text="far"):
    return part(f"Content-Disposition: form-data; {parameters}", text)


def disguises():
    """Forms that also name `far` for a parser which reads them in another way."""
    own = field('name="model"', "near")
    bare = field('name="model"').replace(b"\r\n", b"\n")
    for parameters in (
        'name="model"',
        "name*=utf-8''model",
        'name="a"; name*=utf-8''model',
        'name="a"; name="model"',
        'name="mo\\del"',
        'name="a\\"; name="model"',
        'name="MODEL"',
        'NAME="model"',
        "name='model'",
        'name=" model"',
        'name="model"; filename=""',
        'name="model"; filename="m"',
        'name="model[]"',
    ):
        yield own + field(parameters) + END
    yield own + part('Content-Disposition: form-data;\r\n name="model"', "far") + END
    twice = 'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="model"'
    yield own + part(twice, "far") + END
    yield own + bare + END
    yield own + field('name="a"', "x\n" + bare.decode()) + END
    yield bare + own + END
    yield b"--XyZ \r\n" + own + END
    yield own + END + field('name="model"') + END


async def run(rig):
    upstream = await rig.upstream()
    more = """
[deployments.near]
endpoint = "up"
model = "gpt-image-1"
billing = "pay_as_you_go"
area = "region:koreacentral"
[deployments.far]
endpoint = "up"
model = "dall-e-3"
billing = "pay_as_you_go"
area = "global"
"""
    keys = {"team": 'residency = "geo:kr"', "other": ""}
    router = await rig.router(rig.config(upstream, keys=keys, more=more))
    for body in disguises():
        given = await rig.request(router, "POST", "/v1/images/edits", body, "team", {"content-type": KIND})
        rig.check(given.status == 400, f"expected 400, found {given} for {body!r}")
    twice = b'{"model":"gpt-4o","model":"far","messages":[{"role":"user","content":"x"}]}'
    given = await rig.ask(router, body=twice, key="other")
    rig.check(given.status == 400, f"expected 400 for two models, found {given}")
    for item in ({"type": "item_reference", "id": "m", "role": "user"}, {"id": "m"}):
        body = {"model": "gpt-4o", "input": [item]}
        given = await rig.request(router, "POST", "/v1/responses", body, "other")
        rig.check(given.status == 404, f"expected 404 for {item}, found {given}")
    rig.check(not upstream.requests, f"expected no request upstream, found {len(upstream.requests)}")
    # A form with a single reading passes, and arrives as it was read.
    body = field('name="model"', "near") + field('name="prompt"', "a cat") + END
    await rig.request(router, "POST", "/v1/images/edits", body, "team", {"content-type": KIND})
    rig.check(len(upstream.requests) == 1, "expected the plain form upstream")
    rig.check(upstream.requests[0].body.count(b'name="model"') == 1, f"found {upstream.requests[0].body!r}")
    given = await rig.ask(router, body=chat(), key="other")
    rig.check(given.status == 200, f"expected 200 for a plain request, found {given}")
