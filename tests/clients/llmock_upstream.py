"""llmock as the upstream, with faults switched on: what it thinks of the way in which the router treats it.

    python llmock_upstream.py ROUTER_URL EMULATOR_URL

It judges by what arrives at it: whether a wait that it asked for was kept, how often one request came again, whether a
stream that it cut was taken for a whole one. The emulator and its router are not used: this script starts routers of its
own, because each act wants other deployments. All of them are pay-as-you-go, as the services are that llmock doubles: the
wait of a provisioned deployment is a forecast, which calls under way shorten when they end.

The callers are the official client, some patient (its own retries on) and some not at all: a router must keep the waits
for both. A caller sends again what ended with an error, which is how llmock learns that a cut stream was noticed.

The doubles answer with what they were asked, so that each answer is checked whole, whatever llmock thinks of it. And it
thinks that every stream it cut was cut too early: the finding `truncated_stream_accepted` looks at the fault alone,
never at whether the chunk with `finish_reason` had gone out before. A cut by chance falls after at most six chunks
(`max_after_chunks`), and an answer of four words has said all by then: taking it for whole is right, and llmock calls it
wrong. So questions under faults by chance are long enough for every cut to fall inside the answer.
"""

import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import version

import openai

from checks import expect, post

DEPLOYMENT = """
[deployments.{name}]
endpoint = "{name}"
model = "gpt-4o"
billing = "pay_as_you_go"
area = "global"
"""
ENDPOINT = """
[endpoints.{name}]
url = "{url}"
api = "openai"
anonymous = true
"""
CONFIG = """
[server]
listen = "127.0.0.1:0"
log = "json"

[roles]
chat = {{ models = ["gpt-4o"] }}
reasoning = {{ models = ["gpt-4o"] }}

[limits]
fault_cooldown_ms = 100
fault_cooldown_max_ms = 1_000
idle_timeout_ms = 2_000
"""


@contextlib.contextmanager
def program(command, pattern, folder, name):
    """A program that runs until the block ends; gives the address that it tells."""
    log = folder / f"{name}.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            for _ in range(1200):
                if found := re.search(pattern, log.read_text()):
                    yield f"http://{found.group(1)}"
                    return
                time.sleep(0.05)
            raise RuntimeError(f"{name} did not start: {log.read_text()[-1000:]}")
        finally:
            process.kill()
            process.wait()


def llmock(folder, name, *more):
    command = [sys.executable, "-m", "llmock.cli", "serve", "--host", "127.0.0.1", "--port", "0"]
    command += ["--response-style", "echo", *more]
    return program(command, r"Uvicorn running on http://(\S+)", folder, name)


def router(folder, name, upstreams):
    config = CONFIG.format()
    for upstream, url in upstreams.items():
        config += ENDPOINT.format(name=upstream, url=url) + DEPLOYMENT.format(name=upstream)
    file = folder / f"{name}.toml"
    file.write_text(config)
    command = [os.environ["ROUTER_SERVER"], "serve", "--config", str(file), "--unready-ms", "0"]
    return program(command, r'"address": ?"([^"]+)"', folder, name)


def whole(text, answer):
    """What was said is all of it."""
    expect(f"Hello! You said: {text}", answer, "the whole answer")


def respond(client, text, _stream=True):
    """The same by the Responses API, streamed."""
    events = client.responses.create(model="chat", input=text, stream=True)
    whole(text, "".join(event.delta for event in events if event.type == "response.output_text.delta"))


def ask(client, text, stream, model="chat"):
    """One question of a caller, answered whole; raises what the package raises."""
    messages = [{"role": "user", "content": text}]
    if not stream:
        answer = client.chat.completions.create(model=model, messages=messages)
        return whole(text, answer.choices[0].message.content)
    chunks = client.chat.completions.create(model=model, messages=messages, stream=True)
    whole(text, "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices))


def insists(client, text, stream, turns=12, way=ask):
    """Asks until there is an answer, without waiting on its own account."""
    for _ in range(turns):
        try:
            return way(client, text, stream)
        except openai.APIError:
            time.sleep(0.15)
    raise AssertionError(f"no answer to {text!r} in {turns} turns")


def faults(url, *behaviors):
    post(f"{url}/_llmock/scenario", {"behaviors": list(behaviors)}).close()


def verdict_of(url):
    with urllib.request.urlopen(f"{url}/_llmock/verdict", timeout=10) as answer:
        return json.load(answer)


def judge(title, url):
    """llmock's verdict; its errors are a failure, its warnings are told."""
    verdict = verdict_of(url)
    for finding in verdict["findings"]:
        print(f"  {finding['severity']} {finding['code']}: {finding['title']}")
    passed = "PASS" if verdict["passed"] else "FAIL"
    print(f"llmock {version('llmock')}, {title}: {passed}, {verdict['attempts']} attempts, {verdict['faults_injected']} faults")
    assert verdict["faults_injected"] > 0, "no fault came about"
    return 0 if verdict["passed"] else 1


def waits_are_kept(folder):
    """One deployment and 429s with a wait: neither patient nor impatient callers make the router knock too early."""
    with llmock(folder, "waits") as mock, router(folder, "waits-router", {"only": mock}) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)
        for stream in [False, True]:
            faults(mock, {"type": "fail", "status": 429, "retry_after": 0.8, "times": 2})
            ask(client.with_options(max_retries=4), f"patient {stream}", stream)
            faults(mock, {"type": "fail", "status": 429, "retry_after": 0.8, "times": 1})
            insists(client, f"impatient {stream}", stream)
        return judge("waits are kept", mock)


def a_429_spills(folder):
    """The deployment that callers name says 429, another of its model has room: callers without retries notice nothing."""
    with contextlib.ExitStack() as stage:
        full, free = (stage.enter_context(llmock(folder, name)) for name in ["full", "free"])
        url = stage.enter_context(router(folder, "spill-router", {"full": full, "free": free}))
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)
        with concurrent.futures.ThreadPoolExecutor(4) as callers:
            each = lambda nth: ask(client, f"question {nth}", nth % 2 == 0, "full")
            for turn in range(4):
                faults(full, {"type": "fail", "status": 429, "retry_after": 0.4, "times": 1})
                list(callers.map(each, range(20 * turn, 20 * turn + 20)))
                time.sleep(0.4)
        return judge("a 429 spills", full)


def cut_streams_are_noticed(folder):
    """Streams that end too early, quietly or not, garbled or stalled: the caller hears of each, and asks again."""
    with llmock(folder, "cut") as mock, router(folder, "cut-router", {"only": mock}) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)
        kinds = ["truncate", "disconnect", "malformed"]
        for way, kind, after in itertools.product([ask, respond], kinds, [2, 5]):
            faults(mock, {"type": "stream_fault", "kind": kind, "after_chunks": after})
            text = f"{kind} after {after} by {way.__name__}"
            # Before any content, the router retries by itself.
            insists(client, text, True, way=way)
        return judge("cut streams are noticed", mock)


def the_finish_reason_makes_it_whole(folder):
    """Cut before the chunk that says why it ended, a stream is asked for again; cut behind it, nothing is missing."""
    chunks_before_reason = len(["role", "Hello!", "You", "said:", "hi"])
    for after, attempts in [(chunks_before_reason, 2), (chunks_before_reason + 1, 1)]:
        with llmock(folder, f"cut-{after}") as mock, router(folder, f"cut-{after}-router", {"only": mock}) as url:
            faults(mock, {"type": "stream_fault", "kind": "truncate", "after_chunks": after})
            insists(openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0), "hi", True)
            verdict = verdict_of(mock)
            expect((attempts, 1), (verdict["attempts"], verdict["faults_injected"]), f"attempts, faults: cut after {after}")
    return 0


def a_bad_day(folder):
    """Faults by chance, callers by the dozen: no storm."""
    # Three of ten streams fail: ten times in a row, llmock's idea of a storm, they do so once in some thousand runs.
    chance = ["--error-rate", "429=0.08", "--error-rate", "503=0.08", "--error-rate", "500=0.04"]
    chance += ["--stream-fault", "truncate=0.08", "--stream-fault", "disconnect=0.04", "--latency-ms", "5"]
    with llmock(folder, "chance", *chance) as mock, router(folder, "chance-router", {"only": mock}) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=2)
        with concurrent.futures.ThreadPoolExecutor(6) as callers:
            each = lambda nth: insists(client, f"question {nth} of a very bad day", nth % 2 == 0, 30)
            list(callers.map(each, range(60)))
        return judge("a bad day", mock)


def main(_router, _emulator):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        acts = [waits_are_kept, a_429_spills, cut_streams_are_noticed, the_finish_reason_makes_it_whole, a_bad_day]
        for act in acts:
            try:
                failed += act(pathlib.Path(folder))
            except Exception as fault:
                failed += 1
                print(f"FAILED llmock, {act.__name__}: {fault!r:.1000}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
