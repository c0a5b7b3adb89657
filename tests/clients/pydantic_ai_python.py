"""pydantic-ai: agents over chat completions and over the Responses API, which is what `openai:` names stand for.

    python pydantic_ai_python.py ROUTER_URL EMULATOR_URL

It is the client that insists on most fields of an answer: id, object, created, model, index and role.
"""

import sys
from importlib.metadata import version

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.azure import AzureProvider
from pydantic_ai.providers.openai import OpenAIProvider

import checks
from checks import HELLO, PLACE, PROOF, WEATHER, Orders, expect, took


class Place(BaseModel):
    city: str
    country: str


class Client:
    """A kind of model at a kind of provider."""

    def __init__(self, model, provider):
        self.model, self.provider = model, provider

    def agent(self, name="auto", **more):
        return Agent(self.model(name, provider=self.provider), **more)

    def impatient(self):
        """The same without retries of its own."""
        once = self.provider.client.with_options(max_retries=0)
        return Client(self.model, type(self.provider)(openai_client=once))


def fails(status, call):
    try:
        call()
    except ModelHTTPError as error:
        expect(status, error.status_code, "status")
        return error
    raise AssertionError(f"expected a {status}, and nothing was raised")


def chat(client, order):
    found = client.agent("auto", instructions="Be kind.").run_sync(HELLO)
    assert found.output and found.usage.input_tokens > 0 and found.usage.output_tokens > 0, found
    expect("gpt-4o", found.response.model_name, "model")
    again = client.agent().run_sync("And you?", message_history=found.all_messages())
    assert again.output


def reasoning(client, order):
    found = client.agent().run_sync(PROOF, model_settings={"max_tokens": 3000, "temperature": 0.1})
    expect("o1", found.response.model_name, "model")


def stream(client, order):
    for name in ["chat", "o1"]:
        streamed = client.agent(name).run_stream_sync(HELLO)
        assert "".join(streamed.stream_text(delta=True))
        assert streamed.usage.output_tokens > 0, streamed.usage


def tools(client, order):
    agent, asked = client.agent("chat"), []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "sunny"

    assert agent.run_sync(WEATHER).output and asked


def structured(client, order):
    for output in [ToolOutput(Place), NativeOutput(Place)]:
        for name in ["gpt-4o", "o1"]:
            assert isinstance(client.agent(name, output_type=output).run_sync(PLACE).output, Place)


def not_found(client, order):
    error = fails(404, lambda: client.agent("gpt-none").run_sync(HELLO))
    expect("model_not_found", error.body["code"], "code")


def bad_request(client, order):
    settings = {"extra_headers": {"x-router-residency": "korea"}}
    error = fails(400, lambda: client.agent().run_sync(HELLO, model_settings=settings))
    expect("invalid_header", error.body["code"], "code")


def broken_stream(client, order):
    order({"stream": {"cut_after": 2}})
    try:
        list(client.agent("chat").run_stream_sync(HELLO).stream_text(delta=True))
    except ModelAPIError as error:
        assert "broke off" in str(error), error
        return
    raise AssertionError("half an answer was taken for a whole one")


def all_full(client, order):
    order({"throttled_ms": 600})
    error = fails(429, lambda: client.impatient().agent("chat").run_sync(HELLO))
    expect("capacity_exhausted", error.body["code"], "code")


def waited_out(client, order):
    order({"throttled_ms": 700})
    seconds, found = took(lambda: client.agent("chat").run_sync(HELLO))
    assert found.output and 0.5 <= seconds < 10, f"took {seconds:.2f} s"


def main(router, emulator):
    openai_at = lambda: OpenAIProvider(base_url=f"{router}/v1", api_key="sk-test")
    azure_at = lambda: AzureProvider(azure_endpoint=router, api_version="2024-12-01-preview", api_key="test")
    table = [chat, reasoning, stream, tools, structured, not_found, bad_request, broken_stream]
    table += [all_full, waited_out]
    kinds = {
        "chat": (OpenAIChatModel, openai_at),
        "chat at Azure": (OpenAIChatModel, azure_at),
        "responses": (OpenAIResponsesModel, openai_at),
        "responses at Azure": (OpenAIResponsesModel, azure_at),
    }
    failed = 0
    for name, (model, provider) in kinds.items():
        title = f"pydantic-ai {version('pydantic-ai-slim')}, {name}"
        failed += checks.run(title, table, Client(model, provider()), Orders(router, emulator))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
