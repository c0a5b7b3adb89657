"""The official `openai` package: what its users do, and what they must see.

    python openai_python.py ROUTER_URL EMULATOR_URL

Each check is run with every client that speaks to the router.
"""

import concurrent.futures
import json
import sys
import time

import openai
from pydantic import BaseModel

import checks
from checks import HELLO, PLACE, PROOF, WEATHER, Orders, expect, raises, took

SAY_HELLO = [{"role": "user", "content": HELLO}]
SAY_PROOF = [{"role": "user", "content": PROOF}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
LOOK_UP = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}


class Place(BaseModel):
    city: str
    country: str


def clients(router):
    """Every way in which the package reaches a router: OpenAI, Azure's dated URLs, Azure v1, a token for a key."""
    azure = {"api_version": "2024-12-01-preview", "azure_endpoint": router, "max_retries": 0}
    return {
        "OpenAI": openai.OpenAI(base_url=f"{router}/v1", api_key="sk-test", max_retries=0),
        "AzureOpenAI": openai.AzureOpenAI(api_key="test", **azure),
        "AzureOpenAI with a token": openai.AzureOpenAI(azure_ad_token="token", **azure),
        "OpenAI at Azure v1": openai.OpenAI(base_url=f"{router}/openai/v1", api_key="test", max_retries=0),
    }


# --- what users do --------------------------------------------------------------------------------------------------


def chat(client, order):
    answer = client.chat.completions.create(model="auto", messages=SAY_HELLO)
    expect("chat.completion", answer.object, "object")
    expect("gpt-4o", answer.model, "model")
    expect("stop", answer.choices[0].finish_reason, "finish_reason")
    assert answer.choices[0].message.content and answer.id and answer.created
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def reasoning(client, order):
    ask = {"model": "auto", "messages": SAY_PROOF, "max_tokens": 2000, "temperature": 0}
    raw = client.chat.completions.with_raw_response.create(**ask)
    expect("o1", raw.headers["x-router-model"], "x-router-model")
    expect("reasoning", raw.headers["x-router-task"], "x-router-task")
    assert "max_tokens" in raw.headers["x-router-adapted"], raw.headers
    assert raw.parse().usage.completion_tokens_details.reasoning_tokens > 0


def headers(client, order):
    mine = {"x-request-id": "mine-1", "x-router-task": "chat"}
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=SAY_PROOF, extra_headers=mine)
    expect("mine-1", raw.headers["x-request-id"], "x-request-id")
    expect("gpt-4o", raw.headers["x-router-model"], "x-router-model")
    expect("mine-1", raw.parse()._request_id, "_request_id")


def stream(client, order):
    said, ended, usage = "", None, []
    for chunk in client.chat.completions.create(model="chat", messages=SAY_HELLO, stream=True):
        usage.append(chunk.usage)
        for choice in chunk.choices:
            said += choice.delta.content or ""
            ended = choice.finish_reason or ended
    assert said and ended == "stop", (said, ended)
    assert not any(usage), "usage was not asked for"


def stream_with_usage(client, order):
    asked = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="chat", messages=SAY_HELLO, stream=True, stream_options=asked))
    assert chunks[-1].usage.total_tokens > 0 and not chunks[-1].choices, chunks[-1]
    assert not any(chunk.usage for chunk in chunks[:-1])


def stream_of_a_model_that_cannot(client, order):
    with client.chat.completions.stream(model="o1", messages=SAY_PROOF) as events:
        kinds = {event.type for event in events}
        answer = events.get_final_completion()
    assert "content.delta" in kinds and answer.choices[0].message.content, kinds


def tools(client, order):
    ask = [{"role": "user", "content": WEATHER}]
    answer = client.chat.completions.create(model="auto", messages=ask, tools=[LOOK_UP])
    choice = answer.choices[0]
    expect("tool_calls", choice.finish_reason, "finish_reason")
    call = choice.message.tool_calls[0]
    expect("get_weather", call.function.name, "name of the tool")
    assert "city" in json.loads(call.function.arguments)
    ask += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    again = client.chat.completions.create(model="auto", messages=ask)
    assert again.choices[0].message.content


def tools_streamed(client, order):
    ask = [{"role": "user", "content": WEATHER}]
    arguments = ""
    for chunk in client.chat.completions.create(model="chat", messages=ask, tools=[LOOK_UP], stream=True):
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or []:
                arguments += call.function.arguments or ""
    assert "city" in json.loads(arguments)


def structured(client, order):
    ask = [{"role": "user", "content": PLACE}]
    for model in ["gpt-4o", "o1"]:
        answer = client.chat.completions.parse(model=model, messages=ask, response_format=Place)
        assert isinstance(answer.choices[0].message.parsed, Place), answer


def models(client, order):
    listed = {model.id: model for model in client.models.list()}
    assert {"auto", "auto:fast", "reasoning", "chat", "gpt-4o", "o1", "gpt4o_ptu"} <= set(listed), list(listed)
    found = client.models.retrieve("gpt-4o")
    expect(("gpt-4o", "model"), (found.id, found.object), "retrieved model")
    assert found.created and found.owned_by


def responses(client, order):
    raw = client.responses.with_raw_response.create(model="auto", input=HELLO)
    answer = raw.parse()
    expect(("response", "completed"), (answer.object, answer.status), "object and status")
    expect("gpt-4o", raw.headers["x-router-model"], "x-router-model")
    assert answer.output_text and answer.usage.total_tokens > 0
    raw = client.responses.with_raw_response.create(model="auto", instructions="Be exact.", input=PROOF)
    expect("reasoning", raw.headers["x-router-task"], "x-router-task")


def responses_streamed(client, order):
    kinds, said = [], ""
    for event in client.responses.create(model="auto", input=HELLO, stream=True):
        kinds.append(event.type)
        said += event.delta if event.type == "response.output_text.delta" else ""
    assert said and (kinds[0], kinds[-1]) == ("response.created", "response.completed"), kinds


def responses_with_tools(client, order):
    tool = {"type": "function", "name": "get_weather", "parameters": SCHEMA}
    answer = client.responses.create(model="chat", input=WEATHER, tools=[tool])
    call = next(item for item in answer.output if item.type == "function_call")
    assert "city" in json.loads(call.arguments)
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    again = client.responses.create(model="chat", previous_response_id=answer.id, input=[output], tools=[tool])
    assert again.output_text


def responses_structured(client, order):
    assert isinstance(client.responses.parse(model="chat", input=PLACE, text_format=Place).output_parsed, Place)


def responses_stored(client, order):
    made = client.responses.create(model="chat", input=HELLO, store=True)
    expect(made.id, client.responses.retrieve(made.id).id, "id of the stored response")
    client.responses.delete(made.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(made.id))


def embeddings(client, order):
    # The package asks for base64 on its own and decodes it.
    found = client.embeddings.create(model="text-embedding-3-small", input=[HELLO, PROOF])
    expect([0, 1], [each.index for each in found.data], "indexes")
    assert all(len(each.embedding) > 100 for each in found.data) and found.usage.total_tokens > 0
    numbers = client.embeddings.create(model="text-embedding-3-small", input=[[9906, 11], [1917]])
    expect(2, len(numbers.data), "number of vectors")
    plain = client.embeddings.create(model="text-embedding-3-small", input=HELLO, encoding_format="float")
    assert isinstance(plain.data[0].embedding[0], float)


def legacy_completions(client, order):
    ask = {"model": "gpt-35-turbo-instruct", "prompt": "Say hello."}
    assert client.completions.create(**ask).choices[0].text
    assert "".join(chunk.choices[0].text for chunk in client.completions.create(**ask, stream=True) if chunk.choices)


def passed_through(client, order):
    """A form with a file, and JSON, to models that do not chat."""
    sound = ("hello.mp3", b"\xff\xfb\x90\x00", "audio/mpeg")
    assert client.audio.transcriptions.create(model="whisper-1", file=sound).text
    # Azure's dated URLs have no moderations.
    if not isinstance(client, openai.AzureOpenAI):
        assert client.moderations.create(model="omni-moderation-latest", input=HELLO).results


def many_at_once(client, order):
    ask = lambda nth: client.chat.completions.create(model="auto", messages=SAY_HELLO, stream=nth % 2 == 0)
    with concurrent.futures.ThreadPoolExecutor(20) as callers:
        for nth, answer in enumerate(callers.map(ask, range(40))):
            assert (list(answer) if nth % 2 == 0 else answer.choices), nth


# --- what users must see when it goes wrong ------------------------------------------------------------------------


def not_found(client, order):
    error = raises(openai.NotFoundError, lambda: client.chat.completions.create(model="gpt-none", messages=SAY_HELLO))
    expect(("model_not_found", "model"), (error.code, error.param), "code and param")
    raises(openai.NotFoundError, lambda: client.models.retrieve("gpt-none"))


def bad_request(client, order):
    error = raises(openai.BadRequestError, lambda: client.chat.completions.create(model="auto", messages=[]))
    expect(("messages", "invalid_request_error"), (error.param, error.type), "param and type")
    wrong = {"x-router-residency": "korea"}
    ask = lambda: client.chat.completions.create(model="auto", messages=SAY_HELLO, extra_headers=wrong)
    expect("invalid_header", raises(openai.BadRequestError, ask).code, "code")


def too_large(client, order):
    ask = lambda: client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "x" * (33 << 20)}])
    expect(413, raises(openai.APIStatusError, ask).status_code, "status")


def broken_stream(client, order):
    """A stream that is cut after its first content raises: nobody takes half an answer for a whole one."""
    for fault in [{"cut_after": 2}, {"end_after": 2}, {"error_event_after": 2}]:
        order({"stream": fault})
        ask = lambda: list(client.chat.completions.create(model="chat", messages=SAY_HELLO, stream=True))
        raises(openai.APIError, ask)


def broken_responses_stream(client, order):
    for fault in [{"cut_after": 2}, {"error_event_after": 2}]:
        order({"stream": fault})
        ask = lambda: list(client.responses.create(model="chat", input=HELLO, stream=True))
        raises(openai.APIError, ask)


def faults_pass_unnoticed(client, order):
    """A fault at one deployment: the next one answers, and only a header says so."""
    order({"error": "server_error"}, deployments=["gpt-4o-ptu"])
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=SAY_HELLO)
    assert raw.parse().choices
    found = (raw.headers["x-router-deployment"], raw.headers["x-router-attempts"])
    expect(("gpt4o_payg", "2"), found, "deployment and attempts")


def all_full(client, order):
    """Every deployment full: the class of the error, and a wait that a client can sit out."""
    order({"throttled_ms": 600})
    error = raises(openai.RateLimitError, lambda: client.chat.completions.create(model="chat", messages=SAY_HELLO))
    expect("capacity_exhausted", error.code, "code")
    told = error.response.headers
    assert 0 < int(told["retry-after-ms"]) <= 600, told
    expect(("1", "true"), (told["retry-after"], told["x-should-retry"]), "retry-after and x-should-retry")
    time.sleep(int(told["retry-after-ms"]) / 1000)
    assert client.chat.completions.create(model="chat", messages=SAY_HELLO).choices


def waited_out(client, order):
    """With its own retries on, the package waits as long as it was told, and no user notices."""
    order({"throttled_ms": 700})
    patient = client.with_options(max_retries=3).chat.completions
    seconds, answer = took(lambda: patient.create(model="chat", messages=SAY_HELLO))
    assert answer.choices and 0.5 <= seconds < 10, f"took {seconds:.2f} s"


# --------------------------------------------------------------------------------------------------------------------


def main(router, emulator):
    table = [chat, reasoning, headers, stream, stream_with_usage, stream_of_a_model_that_cannot, tools, tools_streamed]
    table += [structured, models, responses, responses_streamed, responses_with_tools, responses_structured]
    table += [responses_stored, embeddings, legacy_completions, passed_through, many_at_once]
    table += [not_found, bad_request, broken_stream, broken_responses_stream]
    table += [faults_pass_unnoticed, all_full, waited_out]
    failed = 0
    for name, client in clients(router).items():
        once = [too_large] if name == "OpenAI" else []
        failed += checks.run(f"openai {openai.__version__}, {name}", table + once, client, Orders(router, emulator))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
