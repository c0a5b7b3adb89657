"""LangChain's `langchain-openai`: chains, agents' tools, structured answers, streams and embeddings.

    python langchain_python.py ROUTER_URL EMULATOR_URL

Embeddings are asked for without LangChain's own splitting of long texts, which fetches a table of tokens at run time.
"""

import functools
import sys
from importlib.metadata import version

import langchain_openai
import openai
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

import checks
from checks import HELLO, PLACE, PROOF, WEATHER, Orders, expect, raises, took

AZURE = {"api_version": "2024-12-01-preview", "api_key": "test"}


class Place(BaseModel):
    """A place."""

    city: str
    country: str


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


class Client:
    """The two families of classes, made as their documentation makes them."""

    def __init__(self, azure, router):
        self.azure, self.router = azure, router

    def model(self, name="auto", **more):
        settings = {"max_retries": 0, **more}
        if self.azure:
            where = {"azure_endpoint": self.router, "azure_deployment": name}
            return langchain_openai.AzureChatOpenAI(**where, **AZURE, **settings)
        return langchain_openai.ChatOpenAI(model=name, base_url=f"{self.router}/v1", api_key="sk-test", **settings)

    def embedder(self):
        name = "text-embedding-3-small"
        settings = {"model": name, "check_embedding_ctx_length": False, "max_retries": 0}
        if self.azure:
            where = {"azure_endpoint": self.router, "azure_deployment": name}
            return langchain_openai.AzureOpenAIEmbeddings(**where, **AZURE, **settings)
        return langchain_openai.OpenAIEmbeddings(base_url=f"{self.router}/v1", api_key="sk-test", **settings)


def chat(client, order):
    answer = client.model().invoke([SystemMessage("Be kind."), HumanMessage(HELLO)])
    assert answer.content and answer.usage_metadata["total_tokens"] > 0
    expect(("gpt-4o", "stop"), (answer.response_metadata["model_name"], answer.response_metadata["finish_reason"]), "told")


def reasoning(client, order):
    """An o1 behind `auto`: the temperature that LangChain's users set does not stop it."""
    answer = client.model(temperature=0.2, max_tokens=3000).invoke(PROOF)
    expect("o1", answer.response_metadata["model_name"], "model")
    assert answer.usage_metadata["output_token_details"]["reasoning"] > 0


def stream(client, order):
    for name in ["chat", "o1"]:
        chunks = list(client.model(name, stream_usage=False).stream(HELLO))
        assert "".join(chunk.content for chunk in chunks) and not any(chunk.usage_metadata for chunk in chunks), chunks


def stream_with_usage(client, order):
    whole = functools.reduce(lambda whole, chunk: whole + chunk, client.model("chat", stream_usage=True).stream(HELLO))
    assert whole.content and whole.usage_metadata["total_tokens"] > 0, whole


def tools(client, order):
    model = client.model("chat").bind_tools([get_weather])
    asked = [HumanMessage(WEATHER)]
    called = model.invoke(asked)
    call = called.tool_calls[0]
    expect("get_weather", call["name"], "name of the tool")
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    assert model.invoke([*asked, called, result]).content
    streamed = functools.reduce(lambda whole, chunk: whole + chunk, model.stream(WEATHER))
    assert "city" in streamed.tool_calls[0]["args"], streamed


def structured(client, order):
    for method in ["json_schema", "function_calling"]:
        for name in ["gpt-4o", "o1"]:
            found = client.model(name).with_structured_output(Place, method=method).invoke(PLACE)
            assert isinstance(found, Place), (method, name, found)


def batch(client, order):
    assert all(answer.content for answer in client.model("chat").batch([HELLO] * 8))


def responses(client, order):
    model = client.model("chat", use_responses_api=True)
    answer = model.invoke(HELLO)
    assert answer.text and answer.usage_metadata["total_tokens"] > 0, answer
    assert "".join(chunk.text for chunk in model.stream(HELLO))
    assert model.bind_tools([get_weather]).invoke(WEATHER).tool_calls
    assert isinstance(model.with_structured_output(Place).invoke(PLACE), Place)


def embeddings(client, order):
    found = client.embedder().embed_documents([HELLO, PROOF])
    expect(2, len(found), "number of vectors")
    assert all(len(vector) > 100 and isinstance(vector[0], float) for vector in found)


def not_found(client, order):
    error = raises(openai.NotFoundError, lambda: client.model("gpt-none").invoke(HELLO))
    expect("model_not_found", error.code, "code")


def bad_request(client, order):
    raises(openai.BadRequestError, lambda: client.model("auto", extra_body={"messages": "none"}).invoke(HELLO))


def broken_stream(client, order):
    order({"stream": {"cut_after": 2}})
    raises(openai.APIError, lambda: list(client.model("chat").stream(HELLO)))


def all_full(client, order):
    order({"throttled_ms": 600})
    error = raises(openai.RateLimitError, lambda: client.model("chat").invoke(HELLO))
    assert 0 < int(error.response.headers["retry-after-ms"]) <= 600, error.response.headers


def waited_out(client, order):
    order({"throttled_ms": 700})
    seconds, answer = took(lambda: client.model("chat", max_retries=3).invoke(HELLO))
    assert answer.content and 0.5 <= seconds < 10, f"took {seconds:.2f} s"


def main(router, emulator):
    table = [chat, reasoning, stream, stream_with_usage, tools, structured, batch, responses]
    table += [embeddings, not_found, bad_request, broken_stream, all_full, waited_out]
    failed = 0
    for name in ["ChatOpenAI", "AzureChatOpenAI"]:
        client = Client(name.startswith("Azure"), router)
        title = f"langchain-openai {version('langchain-openai')}, {name}"
        failed += checks.run(title, table, client, Orders(router, emulator))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
