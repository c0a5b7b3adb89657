"""Overload without pay-as-you-go, over real sockets: what is served when nothing may spill. Loopback only.

    python3 tests/soak/bank.py [--seconds 150] [--load 1.25 1.5 2 3] [--seed 1 2 3] [--programs target/debug] [--streamed 0.7] [--short]

50 PTU of gpt-4o in Korea Central and nothing else inside the residency. Three keys with equal permissions send requests at
rates 1 : 1 : 10, half of them without a cap, as many times what the PTUs serve as --load says. Clients hang up after 30 s;
half of them send that as the official SDKs do (`x-stainless-read-timeout`). Then the load falls to half the capacity. Each
pair of load and seed is a run of its own, with a new router that has learned nothing. What is looked at:

- goodput: tokens of answers that arrived in time, as a share of what the PTUs drain in the time; beside it, what a policy
  reaches that knows each answer's length, reserves no more, and serves the oldest request that can still be answered;
- the 90th percentile of the time to an answer, callers who gave up, tokens spent for them;
- Jain's index of what each key got of its max-min fair share;
- how long after the fall of the load the last request was refused or delayed.

--streamed makes that share of the calls streams, which get no learned cap: a stream cannot be repeated unseen.

--short is one run of a minute at twice the capacity, for .ci/run.
"""

import argparse
import asyncio
import dataclasses
import hashlib
import heapq
import itertools
import json
import pathlib
import random
import signal
import statistics
import sys
import tempfile

from http_caller import Broken, Caller
from run import HERE, ROOT, Program, metrics

PTU, INPUT_TPM_PER_PTU, OUTPUT_RATIO, WINDOW_SECONDS = 50, 2_500, 4, 10
RATE = PTU * INPUT_TPM_PER_PTU / 60
# The answer that the deployment assumes of a call without a cap.
MISSING_CAP = 4_096
FIRST_TOKEN_SECONDS, TOKENS_PER_SECOND = 0.3, 60
# Log-normal: median and spread. About 1.25 times the capacity are then 4.6 requests a second.
PROMPT, OUTPUT = (150, 0.6), (80, 0.6)
CLIENT_SECONDS = 30
KEYS = {"retail": 1, "branches": 1, "analytics": 10}
# After the fall: the load, for how long, and from when on nothing may be refused, nor delayed beyond this.
CALM_LOAD, CALM_SECONDS, RECOVERY_SECONDS, DELAY_SECONDS = 0.5, 20, 5, 1.0
# What must hold, in the short form too.
BOUNDS = {"goodput": 0.92, "p90": 8.0, "gave_up": 0.01, "wasted": 0.01, "fairness": 0.95, "recovery": RECOVERY_SECONDS}


@dataclasses.dataclass
class Call:
    at: float
    key: str
    prompt: int
    output: int
    cap: int | None
    header: bool
    streamed: bool
    # answered, refused, gave_up or broken; and after how long.
    end: str = ""
    took: float = 0.0

    @property
    def tokens(self):
        return self.prompt + OUTPUT_RATIO * self.output

    @property
    def ideal(self):
        return FIRST_TOKEN_SECONDS + self.output / TOKENS_PER_SECOND


def calls(dice, load, began, seconds, streamed=0.0):
    """Calls at the load, their times drawn as those of callers who know nothing of each other."""

    def length(median, spread):
        return max(1, min(4_000, round(dice.lognormvariate(0, spread) * median)))

    sample = [length(*PROMPT) + OUTPUT_RATIO * length(*OUTPUT) for _ in range(4_000)]
    rate = load * RATE / statistics.mean(sample)
    at, found = began, []
    while (at := at + dice.expovariate(rate)) < began + seconds:
        output = length(*OUTPUT)
        cap = None if dice.random() < 0.5 else output + dice.randrange(200)
        key = dice.choices(list(KEYS), KEYS.values())[0]
        prompt, header = length(*PROMPT), dice.random() < 0.5
        # Drawn only if asked for, so that the other figures of a seed stay comparable.
        stream = streamed > 0 and dice.random() < streamed
        found.append(Call(at, key, prompt, output, cap, header, stream))
    return found


async def ask(address, call, began):
    loop = asyncio.get_running_loop()
    await asyncio.sleep(max(0.0, began + call.at - loop.time()))
    # Four letters are a token at the emulator, which adds six.
    text = "word" * max(1, call.prompt - 6)
    body = {"model": "chat", "messages": [{"role": "user", "content": text}]}
    body["metadata"] = {"emulator_output_tokens": str(call.output)}
    if call.streamed:
        body["stream"] = True
    if call.cap:
        body["max_tokens"] = call.cap
    headers = {"authorization": f"Bearer {call.key}"}
    if call.header:
        headers["x-stainless-read-timeout"] = str(CLIENT_SECONDS)
    caller, start = Caller(address), loop.time()
    try:
        status, _, text = await asyncio.wait_for(caller.post("/v1/chat/completions", body, headers), CLIENT_SECONDS)
        call.end = {200: "answered", 429: "refused"}.get(status, "broken")
        if call.streamed and status == 200 and not text.endswith("data: [DONE]\n\n"):
            call.end = "broken"
    except asyncio.TimeoutError:
        call.end = "gave_up"
    except Broken:
        call.end = "broken"
    caller.close()
    call.took = loop.time() - start


def jain(values):
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values)) if any(values) else 0.0


def fairness(storm):
    """Jain's index of what each key got of its max-min fair share: what one leaves goes to the others."""
    asked = {key: sum(call.tokens for call in storm if call.key == key) for key in KEYS}
    got = {key: sum(call.tokens for call in storm if call.key == key and call.end == "answered") for key in KEYS}
    rest, shares = sum(got.values()), {}
    for count, key in zip(range(len(KEYS), 0, -1), sorted(KEYS, key=asked.get)):
        shares[key] = min(rest / count, asked[key])
        rest -= shares[key]
    return jain([got[key] / shares[key] for key in KEYS if shares[key]])


def omniscient(storm, seconds):
    """The share of the capacity that a policy reaches which knows each answer's length and never wastes a token.

    Above 1, because a bucket that is empty at first holds ten seconds more than the span drains."""
    if any(call.streamed for call in storm):
        return omniscient_of_streams(storm, seconds)
    level, last, good = 0.0, 0.0, 0
    for call in storm:
        level, last = max(0.0, level - RATE * max(0.0, call.at - last)), max(last, call.at)
        start = last + max(0.0, level - RATE * WINDOW_SECONDS) / RATE
        if start <= min(call.at + CLIENT_SECONDS - call.ideal, seconds):
            level, last = max(0.0, level - RATE * (start - last)), start
            level += call.tokens
            good += call.tokens
    return good / (RATE * seconds)


def omniscient_of_streams(storm, seconds):
    """The same where streams reserve their caps until they end, which no policy can change.

    A large reservation blocks the bucket for as long as it lasts and loses nothing if the bucket is nearly full. So the oldest
    request goes first that reserves no more than a tenth of the bucket, and a larger one if no such request waits."""
    capacity, events, waiting = RATE * WINDOW_SECONDS, [], []
    level, last, good, number = 0.0, 0.0, 0, itertools.count()
    reserves = lambda call: call.prompt + OUTPUT_RATIO * (call.cap or MISSING_CAP) if call.streamed else call.tokens
    for call in storm:
        heapq.heappush(events, (call.at, next(number), call, None))
    while events:
        now, _, arrived, returned = heapq.heappop(events)
        level, last = max(0.0, level - RATE * (now - last)), now
        waiting += [arrived] if arrived else []
        level = max(0.0, level - (returned or 0))
        waiting = [call for call in waiting if now <= min(call.at + CLIENT_SECONDS - call.ideal, seconds)]
        while waiting and level <= capacity * (1 + 1e-9):
            call = min(waiting, key=lambda call: (reserves(call) > capacity / 10, call.at))
            waiting.remove(call)
            level += reserves(call)
            good += call.tokens
            heapq.heappush(events, (now + call.ideal, next(number), None, reserves(call) - call.tokens))
        if waiting and level > capacity:
            heapq.heappush(events, (now + (level - capacity) / RATE + 1e-6, next(number), None, None))
    return good / (RATE * seconds)


def figures(storm, calm, seconds):
    room = RATE * seconds
    answers = sorted(call.took for call in storm if call.end == "answered")
    ends = {end: sum(call.end == end for call in storm) for end in ("answered", "refused", "gave_up", "broken")}
    late = [call for call in calm if call.end != "answered" or call.took - call.ideal > DELAY_SECONDS]
    at = lambda share: answers[int(share * (len(answers) - 1))] if answers else 0.0
    return ends | {
        "requests": len(storm),
        "goodput": sum(call.tokens for call in storm if call.end == "answered") / room,
        "omniscient": omniscient(storm, seconds),
        "p50": at(0.5),
        "p90": at(0.9),
        # At most: nobody knows how much of its answer was made.
        "wasted": sum(call.tokens for call in storm if call.end == "gave_up") / room,
        "fairness": fairness(storm),
        "recovery": max((call.at - seconds for call in late), default=0.0),
    }


def faults(found):
    """What of the figures is out of bounds."""
    shares = found | {"gave_up": found["gave_up"] / max(1, found["requests"])}
    high = {"goodput", "fairness"}
    wrong = [name for name, bound in BOUNDS.items() if (shares[name] < bound if name in high else shares[name] > bound)]
    return [f"{name}: {shares[name]:.3f}, bound {BOUNDS[name]}" for name in wrong] + [f"broken: {found['broken']}"] * bool(found["broken"])


def configuration():
    keys = "".join(f'\n[keys.{key}]\nhashes = ["sha256:{hashlib.sha256(key.encode()).hexdigest()}"]\n' for key in KEYS)
    operator = hashlib.sha256(b"operator").hexdigest()
    return (HERE / "bank.toml").read_text() + keys + f'\n[keys.ops]\nhashes = ["sha256:{operator}"]\noperator = true\n'


async def play(address, load, seed, options):
    dice = random.Random(seed)
    seconds, streamed = options.seconds, options.streamed
    storm = calls(dice, load, 0.0, seconds, streamed)
    calm = calls(dice, CALM_LOAD, seconds, CALM_SECONDS, streamed)
    began = asyncio.get_running_loop().time() + 0.2
    await asyncio.gather(*(ask(address, call, began) for call in storm + calm))
    return figures(storm, calm, seconds)


def one(options, load, seed):
    """One run, with programs of its own."""
    work = ROOT / "target" / "soak"
    work.mkdir(parents=True, exist_ok=True)
    programs = options.programs.resolve()
    name = f"bank-{load}-{seed}-{options.streamed}"
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "router.toml")
        config.write_text(configuration())
        command = [programs / "azure-emulator", "serve", "--config", HERE / "bank_emulator.toml", "--listen", "127.0.0.1:0"]
        emulator = Program(command, work / f"{name}-emulator.log", r"endpoint +http://(\S+)")
        settings = {"ROUTER__SERVER__LISTEN": "127.0.0.1:0", "ROUTER__ENDPOINTS__SEOUL__URL": f"http://{emulator.address}"}
        command = [programs / "router-server", "serve", "--config", config, "--unready-ms", "0"]
        try:
            router = Program(command, work / f"{name}-router.log", r'"address": ?"([^"]+)"', settings)
            try:
                return asyncio.run(play(router.address, load, seed, options))
            finally:
                router.end(signal.SIGTERM)
        finally:
            emulator.end(signal.SIGINT)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=150)
    parser.add_argument("--load", type=float, nargs="+", default=[1.25, 1.5, 2.0, 3.0])
    parser.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target" / "debug")
    parser.add_argument("--streamed", type=float, default=0.0)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    if options.short:
        options.seconds, options.load, options.seed = 60, [2.0], [1]
    if not 0 <= options.streamed <= 1:
        parser.error("--streamed is a share, 0 to 1")
    if not 20 <= options.seconds <= 900:
        parser.error("20 to 900 seconds")
    print("| load, seed | requests | answered | refused | gave up | goodput | omniscient | p50 s | p90 s | wasted | fairness | recovery s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    wrong = []
    for load in options.load:
        for seed in options.seed:
            found = one(options, load, seed)
            counts = " | ".join(str(found[name]) for name in ("requests", "answered", "refused", "gave_up"))
            print(
                f"| {load}, {seed} | {counts} | {found['goodput']:.1%} | {found['omniscient']:.1%} | {found['p50']:.1f} | {found['p90']:.1f} "
                f"| {found['wasted']:.2%} | {found['fairness']:.3f} | {found['recovery']:.1f} |",
                flush=True,
            )
            wrong += [f"load {load}, seed {seed}: {fault}" for fault in faults(found)]
    for fault in wrong:
        print(f"  {fault}")
    print("bank: failed" if wrong else "bank: ok", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
