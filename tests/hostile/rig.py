"""What a hostile case runs against: a router with a memory limit, scripted upstreams and raw clients, all on loopback.

A case gets one `Rig`. Everything that it starts through the rig ends with the case, whatever happened in it. Upstreams
and clients are raw sockets: they can stop in the middle of a byte sequence, announce what they never send, and never
read. This module does not decide what is right; cases do, with `rig.check`.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import time

MIB = 1 << 20
# A router's memory limit by the acceptance criteria, and the part that it may use.
LIMIT_MIB, MOST_MIB = 512, 300
# A well-behaved caller is answered within this, whatever others do.
PROMPT_SECONDS = 1.0
# Keys of `config`, by name.
KEYS = {"team": "mr_team_secret", "other": "mr_other_secret", "operator": "mr_operator_secret"}
CGROUP = pathlib.Path("/sys/fs/cgroup")


class Failed(Exception):
    """A case's expectation did not hold."""


def completion(text="hello", model="gpt-4o"):
    """A whole chat answer."""
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": choices, "usage": usage}


def chunk(delta=None, finish=None, **more):
    """One event's object of a chat stream."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": choices, **more}


def chat(text="hello", **more):
    """A chat request."""
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


async def send_all(writer, data):
    """Sends bytes or text in parts, so that large ones do not hold up what else the rig does."""
    data = memoryview(data.encode() if isinstance(data, str) else data)
    for at in range(0, len(data), 1 << 17):
        writer.write(data[at : at + (1 << 17)])
        await writer.drain()
        await asyncio.sleep(0)


class Request:
    """What an upstream received."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Connection:
    """One connection of an upstream; every method sends at once."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def write(self, data):
        await send_all(self.writer, data)

    async def full(self, body, status=200, headers=(), kind="application/json"):
        """A whole answer."""
        body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        body = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        await self.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def head(self, status=200, headers=(), kind="text/event-stream"):
        """The head of a chunked answer."""
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", "transfer-encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in headers]
        await self.write("\r\n".join(lines) + "\r\n\r\n")

    async def chunk(self, data):
        data = data.encode() if isinstance(data, str) else data
        await self.write(b"%x\r\n" % len(data) + data + b"\r\n")

    async def event(self, value, name=None):
        """One event: an object, or a word such as `[DONE]`."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        await self.chunk((f"event: {name}\n" if name else "") + f"data: {text}\n\n")

    async def end(self):
        await self.write(b"0\r\n\r\n")

    async def stream(self, text="hello"):
        """A whole chat stream."""
        await self.head()
        await self.event(chunk({"role": "assistant", "content": text}))
        await self.event(chunk(finish="stop"))
        await self.event("[DONE]")
        await self.end()

    def reset(self):
        """Ends the connection without a farewell."""
        self.writer.transport.abort()


async def answer(connection, request):
    """The handler of an upstream without malice."""
    if b'"stream":true' in request.body.replace(b" ", b""):
        await connection.stream()
    else:
        await connection.full(completion())


class Upstream:
    """Listens, and hands each request to `handler(connection, request)`; `False` from it closes the connection."""

    def __init__(self, handler):
        self.handler = handler
        self.requests, self.connections = [], []
        # Connections that are open, and how many ended while a handler was at work.
        self.open, self.hung_up = 0, 0

    async def start(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 27)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def stop(self):
        self.server.close()
        for connection in self.connections:
            connection.writer.transport.abort()

    async def _serve(self, reader, writer):
        connection = Connection(reader, writer)
        self.connections.append(connection)
        self.open += 1
        try:
            while request := await read_request(reader):
                self.requests.append(request)
                if await self._handle(connection, request) is False:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self.connections.remove(connection)
            with contextlib.suppress(Exception):
                writer.close()

    async def _handle(self, connection, request):
        """Handles a request; ends early if the router closes the connection meanwhile."""
        work = asyncio.ensure_future(self.handler(connection, request))
        gone = asyncio.ensure_future(closed(connection))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            self.hung_up += 1
            return False
        except ConnectionError:
            self.hung_up += 1
            return False
        finally:
            work.cancel()
            gone.cancel()


async def closed(connection):
    """Returns when the other side has closed; data that arrives meanwhile is left alone."""
    while not (connection.reader.at_eof() or connection.writer.transport.is_closing()):
        await asyncio.sleep(0.05)


async def read_request(reader):
    """The next request of a connection; `None` at its end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, headers = parse_head(head)
    method, target, _ = first.split(" ", 2)
    body = b""
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif "chunked" in headers.get("transfer-encoding", ""):
        body = await read_chunks(reader)
    return Request(method, target, headers, body)


def parse_head(head):
    first, *lines = head.decode("latin1").rstrip("\r\n").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return first, headers


async def read_chunks(reader):
    parts = []
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
        if not size:
            return b"".join(parts)


class Answer:
    """What a client received; `ended` is `complete`, `closed` or `timeout`."""

    def __init__(self, status, headers, body, ended, seconds):
        self.status, self.headers, self.body, self.ended, self.seconds = status, headers, body, ended, seconds

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The word in `error.code`, if there is an error."""
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            return self.json["error"]["code"]
        return None

    def __repr__(self):
        return f"<{self.status} {self.ended} {self.seconds:.2f} s {self.body[:200]!r}>"


class Client:
    """A raw connection to the router."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, data):
        await send_all(self.writer, data)

    async def read_head(self, seconds=10):
        """Status and headers of the next answer, interim answers included."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), seconds)
        first, headers = parse_head(head)
        return int(first.split(" ")[1]), headers

    async def read_answer(self, seconds=30):
        """The next answer, whole; interim answers (1xx) are skipped."""
        began, status, headers, body, ended = time.monotonic(), None, {}, b"", "complete"
        try:
            async with asyncio.timeout(seconds):
                while status is None or status < 200:
                    status, headers = await self.read_head(seconds)
                if "content-length" in headers:
                    body = await self.reader.readexactly(int(headers["content-length"]))
                elif "chunked" in headers.get("transfer-encoding", ""):
                    body = await read_chunks(self.reader)
        except TimeoutError:
            ended = "timeout"
        except (asyncio.IncompleteReadError, ConnectionError):
            ended = "closed"
        return Answer(status, headers, body, ended, time.monotonic() - began)

    async def wait_closed(self, seconds):
        """True if the router closes the connection within so many seconds; what it sends meanwhile is thrown away."""
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(1 << 16):
                    pass
            return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def stop_reading(self):
        """Reads nothing more from the socket, so that the kernel's buffers fill and the router's writes stall."""
        self.writer.transport.pause_reading()

    def close(self):
        with contextlib.suppress(Exception):
            self.writer.transport.abort()


def written(method, path, headers, body=b""):
    """The bytes of an HTTP/1.1 request; `body` may be an object, text or bytes."""
    body = body if isinstance(body, (bytes, str)) else json.dumps(body)
    body = body.encode() if isinstance(body, str) else body
    all_headers = {"host": "127.0.0.1"}
    if body or method == "POST":
        all_headers |= {"content-type": "application/json", "content-length": str(len(body))}
    all_headers |= headers or {}
    lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in all_headers.items() if value is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class H2Client:
    """A raw HTTP/2 connection (prior knowledge) over package `h2`; a stream's window opens only where a case says so."""

    def __init__(self, reader, writer, window=65_535):
        import h2.config
        import h2.connection
        import h2.settings

        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        if window != 65_535:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.heads, self.bodies, self.ended, self.goaway = {}, {}, set(), False
        self.pings = 0

    async def flush(self):
        if data := self.h2.data_to_send():
            self.writer.write(data)
            await self.writer.drain()

    async def request(self, method, path, headers=None, body=b"", end=True):
        """Begins a request and sends its body as far as the window allows; gives the stream's id."""
        stream = self.h2.get_next_available_stream_id()
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "127.0.0.1")]
        fields += [("content-type", "application/json")] if method == "POST" else []
        fields += list((headers or {}).items())
        self.h2.send_headers(stream, fields, end_stream=end and not body)
        await self.flush()
        while body:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if room <= 0:
                await self.pump(0.05)
                continue
            self.h2.send_data(stream, body[:room], end_stream=end and room == len(body))
            body = body[room:]
            await self.flush()
        return stream

    async def pump(self, seconds, acknowledge=True):
        """Handles what arrives for so long; False when the connection has ended."""
        import h2.events

        try:
            data = await asyncio.wait_for(self.reader.read(1 << 16), seconds)
        except TimeoutError:
            return True
        except ConnectionError:
            return False
        if not data:
            return False
        for event in self.h2.receive_data(data):
            match event:
                case h2.events.ResponseReceived():
                    self.heads[event.stream_id] = dict(event.headers)
                case h2.events.DataReceived():
                    self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                    if acknowledge:
                        self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded() | h2.events.StreamReset():
                    self.ended.add(event.stream_id)
                case h2.events.PingReceived():
                    self.pings += 1
                case h2.events.ConnectionTerminated():
                    self.goaway = True
        await self.flush()
        return True

    async def answer(self, stream, seconds=30):
        """The whole answer of a stream."""
        began = time.monotonic()
        while stream not in self.ended and time.monotonic() - began < seconds:
            if not await self.pump(0.5):
                break
        head = self.heads.get(stream, {})
        status = int(head[":status"]) if ":status" in head else None
        ended = "complete" if stream in self.ended else "closed"
        return Answer(status, head, self.bodies.get(stream, b""), ended, time.monotonic() - began)

    def close(self):
        with contextlib.suppress(Exception):
            self.writer.transport.abort()


class Router:
    """The router as a process of its own, with its memory and open files read all the while."""

    def __init__(self, process, log, limit_mib):
        self.process, self.log, self.limit_mib = process, log, limit_mib
        self.port, self.peak_mib, self.killed = None, 0.0, False

    def output(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        return self.process.returncode is None

    def rss_mib(self):
        """Resident memory now; zero when the process has ended."""
        with contextlib.suppress(OSError, AttributeError):
            text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
            return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024
        return 0.0

    def files(self):
        """How many files and sockets are open."""
        with contextlib.suppress(OSError):
            return len(os.listdir(f"/proc/{self.process.pid}/fd"))
        return 0

    async def watch(self):
        """Keeps the highest resident memory; ends a router that exceeds its limit, as a container would."""
        while self.alive():
            self.peak_mib = max(self.peak_mib, self.rss_mib())
            if self.limit_mib and self.peak_mib > self.limit_mib:
                self.killed = True
                self.process.kill()
                return
            await asyncio.sleep(0.02)

    async def files_return(self, before, seconds=10, slack=2):
        """True when no more files are open than `before`, within so many seconds."""
        until = time.monotonic() + seconds
        while self.files() > before + slack:
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.05)
        return True


def cgroup_of(name, limit_mib):
    """A cgroup v2 with that memory limit; `None` where none can be made."""
    group = CGROUP / name
    try:
        if "memory" not in (CGROUP / "cgroup.subtree_control").read_text():
            return None
        group.mkdir()
        (group / "memory.max").write_text(str(limit_mib * MIB))
        (group / "memory.swap.max").write_text("0")
        return group
    except OSError:
        return None


class Rig:
    """Starts what a case needs and ends it afterwards."""

    def __init__(self, name, programs, work):
        self.name, self.programs, self.work = name, pathlib.Path(programs), pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.running = contextlib.AsyncExitStack()
        self.started = 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.running.aclose()

    def check(self, holds, said):
        """Fails the case unless `holds`; `said` states what was expected and what came."""
        if not holds:
            raise Failed(said)

    async def upstream(self, handler=answer):
        """A scripted upstream."""
        upstream = Upstream(handler)
        await upstream.start()
        self.running.push_async_callback(upstream.stop)
        return upstream

    def config(self, upstream, server="", keys="", more=""):
        """A router with one deployment of gpt-4o at `upstream`; `server` and `more` are TOML, `keys` a dict of TOML by key name."""
        text = f"[server]\n{server}\n"
        for name, limits in (keys or {}).items():
            digest = hashlib.sha256(KEYS[name].encode()).hexdigest()
            operator = "operator = true\n" if name == "operator" else ""
            text += f'[keys.{name}]\nhashes = ["sha256:{digest}"]\n{operator}{limits}\n'
        return (
            text + f'[endpoints.up]\nurl = "{upstream.url}"\napi = "azure"\napi_version = "2025-04-01-preview"\nanonymous = true\n'
            '[deployments.d1]\nendpoint = "up"\nmodel = "gpt-4o"\nazure_deployment = "d1"\nbilling = "pay_as_you_go"\narea = "global"\n'
            f'[roles]\nreasoning = {{ models = ["gpt-4o"] }}\nchat = {{ models = ["gpt-4o"] }}\n{more}\n'
        )

    async def router(self, config, limit_mib=None, files=None, environment=None):
        """Starts the router with a config and waits until it listens.

        `limit_mib` is its memory limit: a cgroup where one can be made, else its address space; resident memory is watched in
        both. `files` is its limit of open files.
        """
        self.started += 1
        path = self.work / f"{self.name}.{self.started}.toml"
        log = self.work / f"{self.name}.{self.started}.log"
        path.write_text(config)
        command = [str(self.programs / "router-server"), "serve", "--config", str(path), "--unready-ms", "0"]
        group = cgroup_of(f"hostile_{self.name}_{os.getpid()}_{self.started}", limit_mib) if limit_mib else None
        wrap = []
        if limit_mib and not group:
            # An idle router reserves about 450 MiB that it never touches: arenas of the C library and of the allocator.
            wrap += ["prlimit", f"--as={(limit_mib + 512) * MIB}"]
        if files:
            wrap += ["prlimit", f"--nofile={files}:{files}"]
        settings = {"ROUTER__SERVER__LISTEN": "127.0.0.1:0", "ROUTER__SERVER__LOG": "json"}
        if limit_mib and not group:
            # The budget that the router derives from its container's limit.
            settings["ROUTER__SERVER__BODY_MEMORY_BYTES"] = str(limit_mib * MIB // 4)
            settings["ROUTER__LIMITS__RESPONSE_MEMORY_BYTES"] = str(limit_mib * MIB // 8)
        with log.open("w") as file:
            process = await asyncio.create_subprocess_exec(
                *wrap, *command, stdout=file, stderr=file, env={**os.environ, **settings, **(environment or {})}
            )
        if group:
            (group / "cgroup.procs").write_text(str(process.pid))
        router = Router(process, log, limit_mib)
        self.running.push_async_callback(self._stop, router, group)
        for _ in range(400):
            if found := re.search(r'"address": ?"[^"]*:(\d+)"', router.output()):
                router.port = int(found.group(1))
                break
            if not router.alive():
                break
            await asyncio.sleep(0.05)
        if router.port is None:
            raise Failed(f"the router did not start: {router.output()[-600:]}")
        watch = asyncio.ensure_future(router.watch())
        self.running.callback(watch.cancel)
        return router

    async def _stop(self, router, group):
        if router.alive():
            router.process.send_signal(signal.SIGKILL)
        await router.process.wait()
        if group:
            with contextlib.suppress(OSError):
                group.rmdir()

    async def connect(self, router, receive_bytes=None):
        """A raw connection to the router; `receive_bytes` bounds the kernel's buffer of what it sends."""
        plain = socket.socket()
        if receive_bytes:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", router.port))
        reader, writer = await asyncio.open_connection(sock=plain, limit=1 << 16)
        client = Client(reader, writer)
        self.running.callback(client.close)
        return client

    async def connect_h2(self, router, window=65_535):
        """A raw HTTP/2 connection to the router; `window` is the initial window of each stream."""
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        client = H2Client(reader, writer, window)
        await client.flush()
        self.running.callback(client.close)
        return client

    async def request(self, router, method="GET", path="/healthz", body=b"", key=None, headers=None, seconds=30):
        """One request over a connection of its own."""
        began = time.monotonic()
        own = {"authorization": f"Bearer {KEYS[key]}"} if key else {}
        try:
            client = await self.connect(router)
            await client.send(written(method, path, {**own, "connection": "close", **(headers or {})}, body))
            given = await client.read_answer(seconds)
        except ConnectionError:
            return Answer(None, {}, b"", "closed", time.monotonic() - began)
        client.close()
        given.seconds = time.monotonic() - began
        return given

    async def ask(self, router, body=None, key=None, **more):
        """One chat request."""
        return await self.request(router, "POST", "/v1/chat/completions", body or chat(), key, **more)

    @contextlib.asynccontextmanager
    async def well_behaved(self, router, key=None, seconds=PROMPT_SECONDS):
        """While the block runs, asks `/healthz` and, with `key`, for answers; afterwards all must have come in time.

        The rig's own stalls are not the router's: they are measured and taken off.
        """
        slow, count, own = [], [0], [0.0]

        async def measure_own():
            while True:
                began = time.monotonic()
                await asyncio.sleep(0.01)
                own[0] += max(0.0, time.monotonic() - began - 0.02)

        async def ask_on():
            while True:
                for what in ("health", "chat"):
                    before = own[0]
                    given = await (self.request(router) if what == "health" else self.ask(router, key=key))
                    count[0] += 1
                    if given.status != 200 or given.seconds - (own[0] - before) > seconds:
                        slow.append((what, given))
                await asyncio.sleep(0.05)

        task = asyncio.gather(ask_on(), measure_own())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.check(count[0] >= 4, f"expected several requests of a well-behaved caller, found {count[0]}")
        self.check(not slow, f"well-behaved requests failed or were slow ({len(slow)} of {count[0]}): {slow[:3]}")

    def check_memory(self, router, most=MOST_MIB):
        """The router lives and its resident memory has stayed below `most` MiB."""
        self.check(not router.killed and router.alive(), f"the router ended: resident {router.peak_mib:.0f} MiB")
        self.check(router.peak_mib < most, f"resident memory: expected below {most} MiB, found {router.peak_mib:.0f} MiB")
