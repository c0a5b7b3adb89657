"""An upstream that answers every operation of the official Python client with a value of the type that the client expects.

    python typed_upstream.py

The operations, their paths and the types of their answers are read from the client's own sources, so no list is kept
here. It prints its address and serves until it is ended.
"""

import ast
import http.server
import importlib
import inspect
import json
import pathlib
import re
import sys
import types
import typing

import openai
import pydantic

RESOURCES = pathlib.Path(openai.__file__).parent / "resources"
VERBS = {"_get": "GET", "_post": "POST", "_put": "PUT", "_patch": "PATCH", "_delete": "DELETE", "_get_api_list": "GET"}
# The router verifies that an answer is one, so what it must find is said; everything else is made from the types.
SAID = {
    "ChatCompletionMessage": {"content": "42"},
    "CompletionChoice": {"text": "42", "finish_reason": "stop"},
    "Response": {"status": "completed", "error": None, "incomplete_details": None},
    "Embedding": {"embedding": [0.5]},
}
DEEPEST = 12


class Operation(typing.NamedTuple):
    """One operation: what its path looks like, what it answers, and what its stream consists of."""

    method: str
    path: re.Pattern
    answer: object
    event: object


def value(node, names):
    """What an expression of the client's source stands for, or None if it is known only while a call runs."""
    try:
        return eval(compile(ast.Expression(node), "resource", "eval"), names)
    except Exception:
        return None


def path_of(node):
    """The path of a call as a pattern: a constant, or the first argument of `path_template`."""
    if isinstance(node, ast.Call) and node.args:
        node = node.args[0]
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return None
    parts = re.split(r"\{[^}]*\}", node.value)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))


def operations():
    """All operations of the client, those with the fewest variable parts first."""
    found = []
    for file in sorted(RESOURCES.rglob("*.py")):
        module = ".".join(["openai", "resources", *file.relative_to(RESOURCES).with_suffix("").parts])
        names = {**vars(typing), **vars(importlib.import_module(module))}
        for call in ast.walk(ast.parse(file.read_text())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not call.args:
                continue
            verb, path = VERBS.get(call.func.attr), path_of(call.args[0])
            if verb is None or path is None:
                continue
            words = {word.arg: word.value for word in call.keywords}
            verb = value(words["method"], names).upper() if "method" in words else verb
            # A transcription's type depends on the format that is asked for; its plain form is the general one.
            answer = value(words.get("cast_to", words.get("page")), names) if words.keys() & {"cast_to", "page"} else None
            if answer is None and "/audio/" in path.pattern:
                answer = openai.types.audio.Transcription
            stream = value(words["stream_cls"], names) if "stream_cls" in words else None
            event = next(iter(typing.get_args(stream)), None)
            if answer is not None:
                found.append(Operation(verb, path, answer, event))
    return sorted(found, key=lambda one: (one.path.pattern.count("[^/]+"), -len(one.path.pattern)))


def sample(kind, depth=0):
    """The simplest value of a type."""
    kind = getattr(kind, "__value__", kind)
    origin, arms = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return sample(arms[0], depth)
    if origin in (typing.Union, types.UnionType):
        arms = [arm for arm in arms if arm is not type(None)]
        return sample(arms[0], depth)
    if origin is typing.Literal:
        return arms[0]
    if origin is list:
        return [] if depth > DEEPEST else [sample(arms[0], depth + 1)]
    if origin is dict or kind in (dict, object, typing.Any):
        return {}
    if inspect.isclass(kind) and issubclass(kind, pydantic.BaseModel):
        fields = {}
        for name, field in kind.model_fields.items():
            # A page's list is optional, and an empty page would test nothing.
            if field.is_required() or name == "data":
                fields[field.alias or name] = sample(field.annotation, depth + 1)
        return {**fields, **SAID.get(kind.__name__, {})}
    return {str: "text", int: 1, float: 0.5, bool: False, type(None): None}.get(kind, "text")


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers by the table of operations."""

    protocol_version = "HTTP/1.1"
    table = operations()

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = re.sub(r"^/(openai/)?v1", "", self.path.partition("?")[0])
        for one in self.table:
            if one.method == self.command and one.path.fullmatch(path):
                wants_stream = re.search(rb'"stream": ?true|name="stream"\r\n\r\ntrue', body)
                return self.stream(one.event) if wants_stream and one.event else self.whole(one.answer)
        return self.send(404, "application/json", json.dumps({"error": {"message": f"no operation {path}"}}).encode())

    def whole(self, kind):
        if kind is type(None):
            return self.send(204, None, b"")
        if kind is str:
            return self.send(200, "text/plain", b"text")
        if inspect.isclass(kind) and issubclass(kind, pydantic.BaseModel) or typing.get_origin(kind) is not None:
            return self.send(200, "application/json", json.dumps(sample(kind)).encode())
        return self.send(200, "application/octet-stream", b"bytes")

    def stream(self, kind):
        event = sample(kind)
        if "choices" in event:
            event["choices"][0].setdefault("delta", {})
            said = [{"content": "42"}, {}] if "delta" in event["choices"][0] else [{}]
            events = []
            for delta, end in zip(said, [None, "stop"]):
                choice = {**event["choices"][0], "delta": delta, "finish_reason": end}
                events.append({**event, "choices": [choice]})
            text = "".join(f"data: {json.dumps(one)}\n\n" for one in events) + "data: [DONE]\n\n"
        elif self.path.partition("?")[0].endswith("/responses"):
            response = sample(openai.types.responses.Response)
            created = {"type": "response.created", "sequence_number": 0, "response": response}
            completed = {"type": "response.completed", "sequence_number": 1, "response": response}
            text = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in (created, completed))
        else:
            text = f"data: {json.dumps(event)}\n\n"
        return self.send(200, "text/event-stream", text.encode())

    def send(self, status, kind, body):
        self.send_response(status)
        if kind:
            self.send_header("content-type", kind)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
