"""The official `openai` package against a running router: what its users do, and what they must see.

    python openai_python.py ROUTER_URL EMULATOR_URL

The router runs with configs/local.toml in front of `azure-emulator serve`; the emulator's URL is used to order 429s.
Each check is run with every client that speaks to the router; the first failure of each is told and the exit status is 1.
"""

import json
import sys
import time
import traceback
import urllib.error
import urllib.request

import openai
from pydantic import BaseModel

HELLO = [{"role": "user", "content": "안녕하세요! 오늘 기분이 어때요?"}]
PROOF = [{"role": "user", "content": "Prove by induction that the sum of the first n odd numbers is n squared."}]
LOOK_UP = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CHAT_DEPLOYMENTS = ["gpt-4o-ptu", "gpt-4o-payg"]


class Place(BaseModel):
    city: str
    country: str


def clients(router, retries):
    """Every way in which the package reaches a router: OpenAI, Azure's dated URLs, Azure v1, a token for a key."""
    azure = {"api_version": "2024-10-21", "azure_endpoint": router, "max_retries": retries}
    return {
        "OpenAI": openai.OpenAI(base_url=f"{router}/v1", api_key="sk-test", max_retries=retries),
        "AzureOpenAI": openai.AzureOpenAI(api_key="test", **azure),
        "AzureOpenAI with a token": openai.AzureOpenAI(azure_ad_token="token", **azure),
        "OpenAI at Azure v1": openai.OpenAI(base_url=f"{router}/openai/v1", api_key="test", max_retries=retries),
    }


def expect(wanted, found, what):
    if wanted != found:
        raise AssertionError(f"{what}: expected {wanted!r}, found {found!r}")


def raises(kind, call):
    try:
        call()
    except kind as error:
        expect(kind, type(error), "class of the error")
        return error
    raise AssertionError(f"expected {kind.__name__}, and nothing was raised")


# --- what users do --------------------------------------------------------------------------------------------------


def chat(client):
    answer = client.chat.completions.create(model="auto", messages=HELLO)
    expect("chat.completion", answer.object, "object")
    expect("gpt-4o", answer.model, "model")
    expect("stop", answer.choices[0].finish_reason, "finish_reason")
    assert answer.choices[0].message.content and answer.id and answer.created
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def reasoning(client):
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=PROOF, max_tokens=2000, temperature=0)
    expect("o1", raw.headers["x-router-model"], "x-router-model")
    expect("reasoning", raw.headers["x-router-task"], "x-router-task")
    assert "max_tokens" in raw.headers["x-router-adapted"], raw.headers
    assert raw.parse().usage.completion_tokens_details.reasoning_tokens > 0


def headers(client):
    mine = {"x-request-id": "mine-1", "x-router-task": "chat"}
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=PROOF, extra_headers=mine)
    expect("mine-1", raw.headers["x-request-id"], "x-request-id")
    expect("gpt-4o", raw.headers["x-router-model"], "x-router-model")
    expect("mine-1", raw.parse()._request_id, "_request_id")


def stream(client):
    said, ended, usage = "", None, []
    for chunk in client.chat.completions.create(model="chat", messages=HELLO, stream=True):
        usage.append(chunk.usage)
        for choice in chunk.choices:
            said += choice.delta.content or ""
            ended = choice.finish_reason or ended
    assert said and ended == "stop", (said, ended)
    assert not any(usage), "usage was not asked for"


def stream_with_usage(client):
    asked = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="chat", messages=HELLO, stream=True, stream_options=asked))
    assert chunks[-1].usage.total_tokens > 0 and not chunks[-1].choices, chunks[-1]
    assert not any(chunk.usage for chunk in chunks[:-1])


def stream_of_a_model_that_cannot(client):
    with client.chat.completions.stream(model="o1", messages=PROOF) as events:
        kinds = {event.type for event in events}
        answer = events.get_final_completion()
    assert "content.delta" in kinds and answer.choices[0].message.content, kinds


def tools(client):
    ask = [{"role": "user", "content": "What is the weather in Seoul?"}]
    answer = client.chat.completions.create(model="auto", messages=ask, tools=[LOOK_UP])
    choice = answer.choices[0]
    expect("tool_calls", choice.finish_reason, "finish_reason")
    call = choice.message.tool_calls[0]
    expect("get_weather", call.function.name, "name of the tool")
    assert "city" in json.loads(call.function.arguments)
    ask += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    again = client.chat.completions.create(model="auto", messages=ask)
    assert again.choices[0].message.content


def tools_streamed(client):
    ask = [{"role": "user", "content": "What is the weather in Seoul?"}]
    arguments = ""
    for chunk in client.chat.completions.create(model="chat", messages=ask, tools=[LOOK_UP], stream=True):
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or []:
                arguments += call.function.arguments or ""
    assert "city" in json.loads(arguments)


def structured(client):
    ask = [{"role": "user", "content": "Where is Gyeongbokgung?"}]
    for model in ["gpt-4o", "o1"]:
        answer = client.chat.completions.parse(model=model, messages=ask, response_format=Place)
        assert isinstance(answer.choices[0].message.parsed, Place), answer


def models(client):
    listed = {model.id: model for model in client.models.list()}
    assert {"auto", "auto:fast", "reasoning", "chat", "gpt-4o", "o1", "gpt4o_ptu"} <= set(listed), list(listed)
    found = client.models.retrieve("gpt-4o")
    expect(("gpt-4o", "model"), (found.id, found.object), "retrieved model")
    assert found.created and found.owned_by


# --- what users must see when it goes wrong ------------------------------------------------------------------------


def not_found(client):
    ask = lambda: client.chat.completions.create(model="gpt-none", messages=HELLO)
    error = raises(openai.NotFoundError, ask)
    expect(("model_not_found", "model"), (error.code, error.param), "code and param")
    raises(openai.NotFoundError, lambda: client.models.retrieve("gpt-none"))


def bad_request(client):
    error = raises(openai.BadRequestError, lambda: client.chat.completions.create(model="auto", messages=[]))
    expect(("messages", "invalid_request_error"), (error.param, error.type), "param and type")
    wrong = {"x-router-residency": "korea"}
    ask = lambda: client.chat.completions.create(model="auto", messages=HELLO, extra_headers=wrong)
    expect("invalid_header", raises(openai.BadRequestError, ask).code, "code")


def too_large(client):
    ask = lambda: client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "x" * (33 << 20)}])
    error = raises(openai.APIStatusError, ask)
    expect(413, error.status_code, "status")


def all_full(client, order):
    """Every deployment full: the class of the error, and a wait that a client can sit out."""
    order([{"throttled_ms": 600}])
    error = raises(openai.RateLimitError, lambda: client.chat.completions.create(model="chat", messages=HELLO))
    expect("capacity_exhausted", error.code, "code")
    told = error.response.headers
    assert 0 < int(told["retry-after-ms"]) <= 600, told
    expect(("1", "true"), (told["retry-after"], told["x-should-retry"]), "retry-after and x-should-retry")
    time.sleep(int(told["retry-after-ms"]) / 1000)
    assert client.chat.completions.create(model="chat", messages=HELLO).choices


def waited_out(client, order):
    """With its own retries on, the package waits as long as it was told, and no user notices."""
    order([{"throttled_ms": 700}])
    began = time.monotonic()
    assert client.with_options(max_retries=3).chat.completions.create(model="chat", messages=HELLO).choices
    took = time.monotonic() - began
    assert 0.5 <= took < 10, f"took {took:.2f} s"


# --------------------------------------------------------------------------------------------------------------------


def ready(url):
    for _ in range(100):
        try:
            return urllib.request.urlopen(url, timeout=1).status
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"{url} did not answer within 10 s")


def main(router, emulator):
    ready(f"{emulator}/emulator/state")
    ready(f"{router}/readyz")

    def order(steps):
        for deployment in CHAT_DEPLOYMENTS:
            body = json.dumps({"deployment": deployment, "steps": steps}).encode()
            kind = {"content-type": "application/json"}
            urllib.request.urlopen(urllib.request.Request(f"{emulator}/emulator/script", body, kind), timeout=5)

    plain = [chat, reasoning, headers, stream, stream_with_usage, stream_of_a_model_that_cannot, tools, tools_streamed]
    plain += [structured, models, not_found, bad_request]
    failed = 0
    for name, client in clients(router, retries=0).items():
        checks = [(check.__name__, check, ()) for check in plain]
        checks += [(check.__name__, check, (order,)) for check in [all_full, waited_out]]
        checks += [("too_large", too_large, ())] if name == "OpenAI" else []
        for label, check, more in checks:
            try:
                check(client, *more)
            except Exception:
                failed += 1
                print(f"FAILED {name}: {label}", file=sys.stderr)
                traceback.print_exc(limit=-2)
        print(f"openai {openai.__version__}, {name}: {len(checks)} checks")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
