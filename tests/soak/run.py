"""A bounded load test with faults: nothing lost, nothing doubled, nothing that grows. Loopback only.

    python3 tests/soak/run.py [--seconds 60] [--programs target/debug] [--callers 32] [--seed 1]

Starts the emulator and the router as processes of their own, asks questions from many callers at once, streamed and not, and
hangs up on some of the answers, while the deployments are made to refuse, reset, cut, stall and dawdle, one of them is dead,
and the configuration is reloaded. Every question carries a marker that its answer repeats. Then a calm while without faults,
in which every figure must add up exactly. What is looked at:

- each request has exactly one end: a whole answer with its marker once, an error told as such, or our own hanging up; the
  router's log has one line for each, with the same status and the same end;
- the router's memory and file descriptors: in the last third as in the second, within the bounds below;
- no connection is left half closed, nothing stays in flight, nobody panics, both programs end when asked to;
- metrics: requests, answers and tokens are those that the callers saw.

Five minutes of it: tests/soak/long.sh, which no check runs.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from http_caller import Broken, Caller

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Allowed growth from the second third to the last one: resident memory and open files, medians of both.
MORE_BYTES, MORE_RATIO, MORE_FILES = 8 << 20, 1.10, 24
# A part of the run without faults and hanging up, at its end.
CALM_SECONDS = 6
# At least this share of requests that nobody hung up on must be answered whole, or the load shows little.
WHOLE_RATIO = 0.85
# Outcomes that a sufficient storm has produced at least once.
OUTCOMES = ["served", "throttled", "connect", "timeout", "broken", "error_event", "status_5xx"]
EMULATED = ["gpt-4o-ptu", "gpt-4o-payg", "gpt-4o-spare", "o1-payg", "o1-spare"]
FAULTS = [
    {"throttled_ms": 150, "times": 6},
    {"error": "server_error", "times": 3},
    {"error": "system_capacity", "times": 2},
    {"error": "unavailable", "times": 2},
    {"reset": True, "times": 3},
    {"hang": True},
    {"delay_ms": 900, "times": 3},
    {"stream": {"slow_first_token_ms": 1200}, "times": 3},
    {"stream": {"cut_after": 2}, "times": 3},
    {"stream": {"end_after": 2}, "times": 2},
    {"stream": {"stall_after": 2}},
    {"stream": {"error_event_after": 0}, "times": 4},
    {"stream": {"malformed_after": 1}},
    {"stream": {"split": [1, 7, 3], "odd": ["crlf", "comments"]}, "times": 3},
]
# One fault for each of OUTCOMES that the emulator can give; a short storm on a slow machine does not come round to all FAULTS where they
# meet a request, so the storm begins with these, at deployments that requests go to first.
OPENING = [
    {"stream": {"error_event_after": 0}, "times": 4},
    {"reset": True, "times": 3},
    {"stream": {"slow_first_token_ms": 1200}, "times": 3},
    {"error": "server_error", "times": 3},
    {"throttled_ms": 150, "times": 2},
]
BUSY = ["gpt-4o-ptu", "gpt-4o-payg"]
SUBJECTS = [
    "Say hello to the team in one line.",
    "이 문장을 영어로 옮겨 주세요: 오늘은 비가 옵니다.",
    "What is the capital of Portugal?",
    "Prove by induction that the sum of the first n odd numbers is n squared, step by step.",
    "이 방정식을 단계별로 풀어 주세요: 3x^2 - 5x - 2 = 0",
]
MARKER = re.compile(r"mark-\d{7}-end")


class Seen:
    """What the callers saw."""

    def __init__(self):
        self.ends = collections.Counter()
        # Request id -> (status or None, whether we hung up).
        self.requests = {}
        self.tokens = collections.Counter()
        self.faults = []
        self.statuses = collections.Counter()

    def since(self, ends, tokens):
        """What was seen since these were the counts."""
        part = Seen()
        part.ends, part.tokens = self.ends - ends, self.tokens - tokens
        return part

    def fault(self, what):
        if len(self.faults) < 20:
            self.faults.append(what)

    def end(self, marker, kind, status):
        self.ends[kind] += 1
        self.statuses[status] += 1
        self.requests[marker] = (status, kind == "hung_up")

    def used(self, usage):
        self.tokens["input"] += usage["prompt_tokens"]
        self.tokens["output"] += usage["completion_tokens"]
        self.tokens["answers"] += 1


class Load:
    """Callers that ask until they are told to stop."""

    def __init__(self, address, seed, seen):
        self.address, self.seen = address, seen
        self.dice = random.Random(seed)
        self.count = 0
        self.calm = False
        self.stop = False

    def question(self):
        self.count += 1
        marker = f"mark-{self.count:07d}-end"
        # Questions of several lengths, and so answers too: the emulator repeats them.
        filler = " ".join(["lorem"] * self.dice.choice([2, 10, 40, 120]))
        text = f"{self.dice.choice(SUBJECTS)} {marker} {filler}"
        body = {"model": self.dice.choice(["auto"] * 6 + ["chat", "reasoning", "gpt-4o"])}
        body["messages"] = [{"role": "user", "content": text}]
        if self.dice.random() < 0.5:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return marker, body

    async def caller(self):
        caller = Caller(self.address)
        while not self.stop:
            marker, body = self.question()
            hang_up = not self.calm and self.dice.random() < 0.05
            # After the first bytes of an answer, or while it is still awaited.
            patience = self.dice.uniform(0.0, 0.3) if hang_up else 30.0
            pause = self.dice.uniform(0.0, 0.02)
            try:
                asking = caller.post("/v1/chat/completions", body, {"x-request-id": marker})
                status, headers, text = await asyncio.wait_for(asking, patience)
                self.judge(marker, body, status, headers, text)
                if status != 200:
                    # As clients do: a refusal is no reason to ask at once.
                    pause += min(float(headers.get("retry-after-ms", 200)) / 1000, 0.5)
            except asyncio.TimeoutError:
                caller.close()
                if not hang_up:
                    self.seen.fault(f"{marker}: no end within {patience} s")
                self.seen.end(marker, "hung_up" if hang_up else "lost", None)
            except Broken as broken:
                caller.close()
                self.seen.fault(f"{marker}: {broken}")
                self.seen.end(marker, "lost", None)
            await asyncio.sleep(pause)
        caller.close()

    def judge(self, marker, body, status, headers, text):
        """One answer that has come whole over the wire: what does it say?"""
        if headers.get("x-request-id") != marker:
            self.seen.fault(f"{marker}: its answer is that of {headers.get('x-request-id')}")
        if status != 200:
            error = json.loads(text).get("error", {})
            if not error.get("message") or status < 400:
                self.seen.fault(f"{marker}: {status} without an error of OpenAI's shape")
            return self.seen.end(marker, "refused", status)
        said, usage, broken_off = streamed(text) if body.get("stream") else whole(text)
        marks = MARKER.findall(said)
        if broken_off:
            if len(marks) > 1 or set(marks) - {marker}:
                self.seen.fault(f"{marker}: broken off and yet says {marks}")
            return self.seen.end(marker, "broken_off", status)
        if marks != [marker]:
            self.seen.fault(f"{marker}: its answer says {marks}")
        if usage is None:
            self.seen.fault(f"{marker}: a whole answer without usage")
        else:
            self.seen.used(usage)
        return self.seen.end(marker, "whole", status)


def whole(text):
    answer = json.loads(text)
    return answer["choices"][0]["message"]["content"], answer["usage"], False


def streamed(text):
    """What a stream says, its usage, and whether it was broken off with an error event. It must be one or the other."""
    said, usage, error, ended, finished = [], None, False, 0, 0
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            ended += 1
            continue
        event = json.loads(data)
        error = error or "error" in event
        for choice in event.get("choices", []):
            said.append(choice.get("delta", {}).get("content") or "")
            finished += choice.get("finish_reason") is not None
        usage = event.get("usage") or usage
    if not error and (ended, finished) != (1, 1):
        raise Broken(f"a stream with {ended} ends, {finished} finish reasons and no error")
    if ended > 1 or finished > 1:
        raise Broken(f"a stream with {ended} ends and {finished} finish reasons")
    return "".join(said), usage, error


class Program:
    """A process and what it holds."""

    def __init__(self, command, log, pattern, environment=None):
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
            )
        for _ in range(400):
            if found := re.search(pattern, log.read_text()):
                self.address = found.group(1)
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.process.kill()
        raise SystemExit(f"did not start: {command}\n{log.read_text()[-2000:]}")

    def resident(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def half_closed(self):
        """Sockets whose other side has closed and which the program still holds."""
        inodes = set()
        for fd in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(fd)):
                    inodes.add(found.group(1))
        rows = [line.split() for line in pathlib.Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]]
        return sum(row[3] == "08" and row[9] in inodes for row in rows)

    def end(self, how):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "killed"


async def emulated(address):
    """How many requests the emulator had, and how many of them it answered."""
    _, _, text = await Caller(address).get("/emulator/state")
    deployments = json.loads(text)["deployments"].values()
    return collections.Counter({key: sum(each[key] for each in deployments) for key in ("requests", "ok")})


async def metrics(address):
    """Name with its labels -> value."""
    status, _, text = await Caller(address).get("/metrics")
    if status != 200:
        raise SystemExit(f"/metrics answers {status}")
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return collections.Counter({name: float(value) for name, value in lines})


def total(figures, name, label=""):
    return sum(value for line, value in figures.items() if re.match(rf"{name}(\{{|$)", line) and label in line)


async def torment(emulator, dice, load):
    """Orders faults, several each second."""
    caller = Caller(emulator)

    async def order(deployment, steps):
        status, _, text = await caller.post("/emulator/script", {"deployment": deployment, "steps": steps}, {})
        if status != 200:
            raise SystemExit(f"the emulator does not take {steps} for {deployment}: {text}")

    for deployment in BUSY:
        await order(deployment, OPENING)
    left = []
    while not load.calm:
        # Each fault once before any of them again.
        left = left or dice.sample(FAULTS, len(FAULTS))
        await order(dice.choice(EMULATED), [left.pop()])
        await asyncio.sleep(dice.uniform(0.4, 1.2))
    await caller.request("DELETE", "/emulator/script", b"", {})


async def watch(program, load, samples, began):
    while not load.stop:
        samples.append((time.monotonic() - began, program.resident(), program.files()))
        await asyncio.sleep(0.5)


def grown(samples, seconds):
    """Faults where the last third holds more than the second."""
    thirds = [[sample for sample in samples if low <= sample[0] / seconds < low + 1 / 3] for low in (1 / 3, 2 / 3)]
    (before, files), (after, files_after) = [
        (statistics.median(s[1] for s in third), statistics.median(s[2] for s in third)) for third in thirds
    ]
    print(f"memory: {before / 2**20:.1f} MiB, then {after / 2**20:.1f} MiB; files: {files:.0f}, then {files_after:.0f}")
    faults = []
    if after > before * MORE_RATIO + MORE_BYTES:
        faults.append(f"memory grows: {before / 2**20:.1f} MiB, then {after / 2**20:.1f} MiB")
    if files_after > files + MORE_FILES:
        faults.append(f"open files grow: {files}, then {files_after}")
    return faults


def logged(log, seen):
    """Faults where the router's log does not have one line for each request, with the end that its caller saw."""
    faults, lines = [], collections.Counter()
    for line in log.read_text().splitlines():
        if "panicked" in line or '"level":"ERROR"' in line and "panic" in line:
            faults.append(f"a panic: {line[:300]}")
        if not line.startswith("{"):
            continue
        try:
            fields = json.loads(line)
        except ValueError:
            faults.append(f"a broken line in the log: {line[:300]}")
            continue
        marker = fields.get("request_id", "")
        if fields.get("message") != "request" or not MARKER.fullmatch(marker):
            continue
        lines[marker] += 1
        status, hung_up = seen.requests.get(marker, (None, None))
        if not hung_up and (fields.get("status"), fields.get("end")) != (status, "complete"):
            faults.append(f"{marker}: its caller saw {status}, the log says {fields.get('status')}, {fields.get('end')}")
    twice = [marker for marker, count in lines.items() if count > 1]
    # A caller that hangs up before the request is read has made none.
    never = [marker for marker, (_, hung_up) in seen.requests.items() if not lines[marker] and not hung_up]
    if twice or never:
        faults.append(f"logged twice: {twice[:5]}; never: {never[:5]}")
    return faults, lines


def adds_up(before, after, upstream, seen):
    """Faults where the calm's figures are not exactly what the callers saw."""
    faults = []
    whole, asked = seen.ends["whole"], sum(seen.ends.values())

    def compare(what, theirs, ours):
        if theirs != ours:
            faults.append(f"in the calm, {what}: the metrics say {theirs:.0f}, the callers saw {ours}")

    def more(name, label=""):
        return total(after, name, label) - total(before, name, label)

    compare("decisions", more("model_router_decisions_total"), asked)
    compare("requests", more("gen_ai_client_operation_duration_seconds_count"), asked)
    compare("good ends", more("gen_ai_client_operation_duration_seconds_count", 'error_type=""'), whole)
    for kind in ("input", "output"):
        compare(f"{kind} tokens", more("gen_ai_client_token_usage_sum", f'gen_ai_token_type="{kind}"'), seen.tokens[kind])
    compare("answers with tokens", more("gen_ai_client_token_usage_count", 'gen_ai_token_type="input"'), whole)
    reached = more("model_router_attempts_total") - more("model_router_attempts_total", 'deployment="gpt4o_dead"')
    if (reached, whole) != (upstream["requests"], upstream["ok"]):
        faults.append(f"in the calm {reached:.0f} attempts and {whole} answers are {dict(upstream)} at the upstream")
    return faults


def storm_adds_up(figures, seen):
    """Faults where the figures of the whole run cannot be what the callers saw; who hangs up leaves some room."""
    faults = []
    hung_up = seen.ends["hung_up"]
    asked = sum(seen.ends.values())
    decided = total(figures, "model_router_decisions_total")
    if not asked - hung_up <= decided <= asked:
        faults.append(f"decisions: {decided:.0f} of {asked} requests, of which {hung_up} were hung up on")
    ended = total(figures, "gen_ai_client_operation_duration_seconds_count")
    if ended != decided:
        faults.append(f"{decided:.0f} requests were decided and {ended:.0f} have ended")
    answers = total(figures, "gen_ai_client_token_usage_count", 'gen_ai_token_type="input"')
    if not seen.ends["whole"] <= answers <= asked:
        faults.append(f"answers with tokens: {answers:.0f}, while {seen.ends['whole']} were whole")
    for kind in ("input", "output"):
        used = total(figures, "gen_ai_client_token_usage_sum", f'gen_ai_token_type="{kind}"')
        if used < seen.tokens[kind]:
            faults.append(f"{kind} tokens: {used:.0f}, while callers were told of {seen.tokens[kind]}")
    if stuck := total(figures, "model_router_in_flight") + total(figures, "model_router_deployment_in_flight"):
        faults.append(f"{stuck:.0f} requests are in flight though all callers are gone")
    outcomes = {line for line, value in figures.items() if "attempts_total" in line and value}
    for word in ('deployment="gpt4o_dead"', *(f'outcome="{word}"' for word in OUTCOMES)):
        if not any(word in line for line in outcomes):
            faults.append(f"the faults were too tame: no attempt with {word}")
    return faults


async def reload(router, config, dice):
    """Another threshold, by the file and SIGHUP; gives a fault where the router has not taken it."""
    before = await metrics(router.address)
    text = config.read_text()
    config.write_text(f"{text}\n[routing]\nthreshold = {dice.uniform(0.4, 0.6):.3f}\n")
    router.process.send_signal(signal.SIGHUP)
    for _ in range(100):
        await asyncio.sleep(0.1)
        now = await metrics(router.address)
        if total(now, "model_router_config_reloads_total") > total(before, "model_router_config_reloads_total"):
            good = total(now, "model_router_config_last_reload_successful") == 1
            return [] if good else ["the changed configuration was refused"]
    return ["the changed configuration was not taken within 10 s"]


async def soak(options, router, emulator, config):
    seen = Seen()
    load = Load(router.address, options.seed, seen)
    dice = random.Random(options.seed + 1)
    samples, began = [], time.monotonic()
    callers = [asyncio.create_task(load.caller()) for _ in range(options.callers)]
    others = [
        asyncio.create_task(torment(emulator.address, dice, load)),
        asyncio.create_task(watch(router, load, samples, began)),
    ]
    storm = options.seconds - CALM_SECONDS
    await asyncio.sleep(storm / 2)
    faults = await reload(router, config, dice)
    await asyncio.sleep(max(0.0, storm - (time.monotonic() - began)))
    # The storm passes: its requests end, and none of them counts in what follows.
    load.calm = load.stop = True
    await asyncio.gather(*callers, *others)
    await quiet(router.address)
    before, ends, tokens = await metrics(router.address), seen.ends.copy(), seen.tokens.copy()
    upstream = await emulated(emulator.address)
    load.stop = False
    callers = [asyncio.create_task(load.caller()) for _ in range(options.callers)]
    watching = asyncio.create_task(watch(router, load, samples, began))
    await asyncio.sleep(CALM_SECONDS)
    load.stop = True
    await asyncio.gather(*callers, watching)
    await quiet(router.address)
    after = await metrics(router.address)
    upstream = await emulated(emulator.address) - upstream
    faults += adds_up(before, after, upstream, seen.since(ends, tokens)) + storm_adds_up(after, seen)
    faults += grown(samples, time.monotonic() - began)
    if left := router.half_closed():
        faults.append(f"{left} connections are half closed and kept")
    return seen, faults, after


async def quiet(address):
    """Until nothing is in flight and what is in flight at the upstream has been let go."""
    for _ in range(100):
        figures = await metrics(address)
        if total(figures, "model_router_in_flight") + total(figures, "model_router_deployment_in_flight") == 0:
            return
        await asyncio.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target" / "debug")
    options = parser.parse_args()
    if not 20 <= options.seconds <= 900 or not 1 <= options.callers <= 256:
        parser.error("20 to 900 seconds, 1 to 256 callers")
    programs = options.programs.resolve()
    work = ROOT / "target" / "soak"
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "router.toml")
        config.write_text((HERE / "router.toml").read_text())
        command = [programs / "azure-emulator", "serve", "--config", HERE / "emulator.toml", "--listen", "127.0.0.1:0"]
        emulator = Program(command, work / "emulator.log", r"endpoint +http://(\S+)")
        settings = {
            "ROUTER__SERVER__LISTEN": "127.0.0.1:0",
            "ROUTER__ENDPOINTS__EMULATOR__URL": f"http://{emulator.address}",
        }
        command = [programs / "router-server", "serve", "--config", config, "--unready-ms", "0"]
        try:
            router = Program(command, work / "router.log", r'"address": ?"([^"]+)"', settings)
            try:
                seen, faults, _ = asyncio.run(soak(options, router, emulator, config))
            finally:
                ended = router.end(signal.SIGTERM)
        finally:
            emulator_ended = emulator.end(signal.SIGINT)
    told, lines = logged(work / "router.log", seen)
    faults += told + seen.faults
    if (ended, emulator_ended) != (0, 0):
        faults.append(f"the router ended with {ended}, the emulator with {emulator_ended}")
    asked = sum(seen.ends.values())
    if seen.ends["whole"] < WHOLE_RATIO * (asked - seen.ends["hung_up"]):
        faults.append(f"too few whole answers to say much: {dict(seen.ends)}")
    print(f"{asked} requests in {options.seconds} s: {dict(seen.ends)}; statuses {dict(seen.statuses)}; {len(lines)} in the log")
    print(f"tokens told to callers: {dict(seen.tokens)}; reproduce with --seed {options.seed}")
    for fault in faults:
        print(f"  {fault}")
    print("soak: failed" if faults else "soak: ok", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
