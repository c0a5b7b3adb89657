#!/usr/bin/env python3
"""Resident memory of a router at rest, of an open stream and of an idle connection, against the recorded bounds.

    tests/memory/run.py --programs target/release [--record]

A router with two workers stands between raw callers and a scripted upstream, all on loopback. First it is measured at rest. Then 2,000
callers open a stream whose upstream has sent its first events and falls silent; then 10,000 connections have each had one answer and are
kept open. What one of them holds is the growth of the router's resident memory divided by their number. Memory, not time, is compared, so
a busy machine changes nothing. It fails if a figure is more than a tenth above its bound in `recorded.json`."""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
RECORDED = HERE / "recorded.json"
STREAMS, IDLE = 2_000, 10_000
WITHIN = 0.1
# So many callers open at a time.
AT_ONCE = 100
SECONDS = 120

ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * 60}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 250, "completion_tokens": 60, "total_tokens": 310},
}).encode()
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
EVENT = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}\n\n'
BEGUN = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + b"%x\r\n" % (3 * len(EVENT)) + 3 * EVENT + b"\r\n"

CONFIG = """
[server]
listen = "127.0.0.1:{port}"
workers = 2
max_in_flight = 10_000
max_connections = 16_000

[endpoints.here]
url = "http://127.0.0.1:{upstream}"
api = "openai"
anonymous = true

[deployments.chat_payg]
endpoint = "here"
model = "gpt-4o"
billing = "pay_as_you_go"
area = "global"

[roles]
reasoning.models = ["gpt-4o"]
chat.models = ["gpt-4o"]
"""


def request(stream):
    """A request of about a kilobyte."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Which river flows through Seoul? " * 27}], "stream": stream}
    text = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
    return head.encode() + text


class Upstream(asyncio.Protocol):
    """Answers each request: whole, or with the beginning of a stream."""

    def connection_made(self, transport):
        self.transport, self.received = transport, b""

    def data_received(self, data):
        self.received += data
        head, gap, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if gap and len(body) >= int(length[1] if length else 0):
            self.received = b""
            self.transport.write(BEGUN if b'"stream": true' in body else WHOLE)


class Caller(asyncio.Protocol):
    """Sends one request, and has its answer once `enough` bytes have come."""

    def __init__(self, sent, until):
        self.sent, self.until = sent, until
        self.received = b""
        self.answered = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.sent)

    def data_received(self, data):
        self.received += data
        if self.until in self.received and not self.answered.done():
            self.received = self.received[:40]
            self.answered.set_result(None)

    def connection_lost(self, _):
        if not self.answered.done():
            self.answered.set_exception(ConnectionError(f"closed after {self.received[:200]!r}"))


async def crowd(port, number, sent, until):
    """Opens connections, each with an answer."""
    callers = []
    loop = asyncio.get_running_loop()
    for _ in range(0, number, AT_ONCE):
        fresh = [await loop.create_connection(lambda: Caller(sent, until), "127.0.0.1", port) for _ in range(AT_ONCE)]
        await asyncio.gather(*(caller.answered for _, caller in fresh))
        callers += [caller for _, caller in fresh]
        wrong = [caller.received for caller in callers[-AT_ONCE:] if not caller.received.startswith(b"HTTP/1.1 200")]
        assert not wrong, f"a request was refused: {wrong[0]!r}"
    return callers


def resident(pid):
    """Resident memory in KiB, once it has stopped changing."""
    def now():
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
    last = now()
    for _ in range(20):
        time.sleep(0.25)
        last, before = now(), last
        if abs(last - before) < 64:
            break
    return last


@contextlib.contextmanager
def running(program, upstream):
    """A router; its port and process."""
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        config = pathlib.Path(folder) / "router.toml"
        config.write_text(CONFIG.format(port=port, upstream=upstream))
        process = subprocess.Popen([program, "serve", "--config", config, "--log", "warn"])
        try:
            yield port, process.pid
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


async def ready(port):
    for _ in range(200):
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            return
        except OSError:
            await asyncio.sleep(0.05)
    raise TimeoutError("the router does not listen")


async def measured(program):
    loop, found = asyncio.get_running_loop(), {}
    server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=4_096)
    upstream = server.sockets[0].getsockname()[1]
    with running(program, upstream) as (port, pid):
        await ready(port)
        found["idle_kib"] = resident(pid)
        # What a first request makes once counts for no stream.
        await crowd(port, AT_ONCE, request(True), b"word")
        before = resident(pid)
        await crowd(port, STREAMS, request(True), b"word")
        found["stream_kib"] = (resident(pid) - before) / STREAMS
    with running(program, upstream) as (port, pid):
        await ready(port)
        await crowd(port, AT_ONCE, request(False), b'"total_tokens": 310')
        before = resident(pid)
        await crowd(port, IDLE, request(False), b'"total_tokens": 310')
        found["connection_kib"] = (resident(pid) - before) / IDLE
    return {name: round(figure, 1) for name, figure in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, default=HERE.parent.parent / "target" / "release")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    if not os.path.exists("/proc/self/status"):
        print("skipped: there is no /proc here")
        return 0
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 1_000
    if most != resource.RLIM_INFINITY and most < wanted:
        print(f"skipped: a process may open {most} files here, and {wanted} are needed")
        return 0
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if most == resource.RLIM_INFINITY else most, most))
    found = asyncio.run(asyncio.wait_for(measured(arguments.programs / "router-server"), SECONDS))
    bounds = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    failed = False
    for name, figure in found.items():
        bound = bounds.get(name, figure)
        over = figure > bound * (1 + WITHIN)
        failed |= over
        print(f"{name}: {figure:,} recorded {bound:,}{': more than a tenth above' if over else ''}")
    if arguments.record:
        RECORDED.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    return int(failed)


sys.exit(main())
