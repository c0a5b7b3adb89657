"""Fields that a key may not send are refused in forms as in JSON, whatever their letter case and with `[]` at the end."""


def form(name):
    parts = [("model", "gpt-4o"), (name, "file-1")]
    lines = [f'--XyZ\r\nContent-Disposition: form-data; name="{one}"\r\n\r\n{value}\r\n' for one, value in parts]
    return "".join(lines) + "--XyZ--\r\n"


async def run(rig):
    upstream = await rig.upstream()
    keys = {"team": 'deny_fields = ["file_ids"]', "other": ""}
    router = await rig.router(rig.config(upstream, keys=keys))
    headers = {"content-type": "multipart/form-data; boundary=XyZ"}

    async def ask(key, name):
        return await rig.request(router, "POST", "/v1/audio/transcriptions", form(name), key, headers)

    for name in ["file_ids", "file_ids[]", "FILE_IDS"]:
        given = await ask("team", name)
        rig.check((given.status, given.code) == (403, "field_not_allowed"), f"expected 403 for {name}, found {given}")
    for key, name in [("team", "prompt"), ("other", "file_ids")]:
        given = await ask(key, name)
        rig.check(given.code != "field_not_allowed", f"expected no refusal of {name}, found {given}")
