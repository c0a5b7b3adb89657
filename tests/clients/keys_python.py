"""The official `openai` package before a router that asks for keys: its own classes, and its own patience.

    python keys_python.py ROUTER_URL EMULATOR_URL
"""

import concurrent.futures
import os
import subprocess
import sys
import urllib.request

import openai

import checks
from checks import HELLO, PROOF, expect, raises, took

SAY_HELLO = [{"role": "user", "content": HELLO}]
SAY_PROOF = [{"role": "user", "content": PROOF}]


def key(name):
    return f"mr_{name}_of_the_client_checks_000000000000000"


def clients(router, name, **more):
    """Every way in which the package shows a key: as a bearer, in `api-key`, and in both."""
    azure = {"api_version": "2024-12-01-preview", "azure_endpoint": router, **more}
    shown = {"api-key": key(name)}
    return {
        "OpenAI": openai.OpenAI(base_url=f"{router}/v1", api_key=key(name), **more),
        "AzureOpenAI": openai.AzureOpenAI(api_key=key(name), **azure),
        "AzureOpenAI with a token": openai.AzureOpenAI(azure_ad_token=key(name), **azure),
        "OpenAI with a header": openai.OpenAI(base_url=f"{router}/v1", api_key="x", default_headers=shown, **more),
    }


def ask(client, model="chat", messages=SAY_HELLO, **more):
    return client.chat.completions.create(model=model, messages=messages, **more)


def every_client_is_let_in_and_told_apart(router, order):
    for kind, client in clients(router, "app", max_retries=0).items():
        assert ask(client).choices[0].message.content, kind
        events = list(ask(client, stream=True))
        assert len(events) > 1, kind
        error = raises(openai.NotFoundError, lambda client=client: ask(client, model="o1"))
        expect("model_not_found", error.code, "code")
        steer = {"x-router-priority": "interactive"}
        error = raises(openai.PermissionDeniedError, lambda client=client: ask(client, extra_headers=steer))
        expect(("not_allowed_for_key", "x-router-priority"), (error.code, error.param), "code and param")
        names = [model.id for model in client.models.list()]
        assert "gpt-4o" in names and not any("o1" in name for name in names), names
    for kind, client in clients(router, "nobody", max_retries=5).items():
        seconds, error = took(lambda client=client: raises(openai.AuthenticationError, lambda: ask(client)))
        expect("invalid_api_key", error.code, f"code, {kind}")
        assert seconds < 2, "it is not tried again"
        raises(openai.AuthenticationError, lambda client=client: client.models.list())


def a_pinned_residency_is_not_left(router, order):
    client = clients(router, "seoul", max_retries=0)["OpenAI"]
    wide = {"x-router-residency": "global"}
    error = raises(openai.PermissionDeniedError, lambda: ask(client, extra_headers=wide))
    expect("residency_not_allowed", error.code, "code")
    error = raises(openai.BadRequestError, lambda: ask(client))
    expect("residency_unsatisfiable", error.code, "code")


def a_rate_tells_its_wait(router, order):
    client = clients(router, "one", max_retries=0)["OpenAI"]
    told = client.chat.completions.with_raw_response.create(model="chat", messages=SAY_HELLO).headers
    left = [told.get(f"x-ratelimit-{what}-requests") for what in ("limit", "remaining")]
    expect(["1", "0"], left, "what is left of the rate")
    assert told["x-ratelimit-reset-requests"].endswith("s") and "x-ratelimit-limit-tokens" not in told, told
    error = raises(openai.RateLimitError, lambda: ask(client))
    expect("rate_limit_exceeded", error.code, "code")
    assert 0 < int(error.response.headers["retry-after-ms"]) <= 60_010, error.response.headers
    expect("true", error.response.headers["x-should-retry"], "x-should-retry")


def one_at_a_time_is_waited_for(router, order):
    """Two at once where one may be: the client's own second try is let in."""
    client = clients(router, "busy", max_retries=5)["OpenAI"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(client), range(4)))
    assert all(answer.choices[0].message.content for answer in answers)


def a_spent_budget_is_not_waited_for(router, order):
    client = clients(router, "poor", max_retries=5)["OpenAI"]
    for _ in range(100):
        try:
            ask(client, model="o1", messages=SAY_PROOF)
        except openai.RateLimitError:
            break
    seconds, error = took(lambda: raises(openai.RateLimitError, lambda: ask(client, model="o1")))
    expect(("insufficient_quota", "insufficient_quota"), (error.code, error.type), "code and type")
    assert seconds < 2, "it is not tried again"


def metrics_are_the_operators(router, order):
    def status(name):
        shown = {"authorization": f"Bearer {key(name)}"}
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{router}/metrics", headers=shown), timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    expect(403, status("app")[0], "status")
    expect(401, status("nobody")[0], "status")
    code, text = status("watch")
    expect(200, code, "status")
    assert 'model_router_key_requests_total{error="",key="busy"} 4' in text, text
    assert "_of_the_client_checks" not in text


def keys_are_made_and_hashed(router, order):
    def program(*arguments, **more):
        command = [os.environ["ROUTER_SERVER"], "key", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, **more).stdout

    lines = program("new", "--name", "billing").splitlines()
    assert lines[0].startswith("mr_") and "[keys.billing]" in lines, lines
    expect(f'hashes = ["{program("hash", input=lines[0]).strip()}"]', lines[-1], "the hash of the key that was made")


def main(router, emulator):
    table = [every_client_is_let_in_and_told_apart, a_pinned_residency_is_not_left, a_rate_tells_its_wait]
    table += [one_at_a_time_is_waited_for, a_spent_budget_is_not_waited_for, metrics_are_the_operators]
    table += [keys_are_made_and_hashed]
    order = checks.Orders(router, emulator)
    return 1 if checks.run(f"openai {openai.__version__} with keys", table, router, order) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
