"""What the Python scripts of this folder share: expectations, orders to the emulator, and the run of a table of checks."""

import contextlib
import json
import os
import time
import traceback
import urllib.error
import urllib.request

HELLO = "안녕하세요! 오늘 기분이 어때요?"
PROOF = "Prove by induction that the sum of the first n odd numbers is n squared."
WEATHER = "What is the weather in Seoul?"
PLACE = "Where is Gyeongbokgung?"
CHAT_DEPLOYMENTS = ("gpt-4o-ptu", "gpt-4o-payg")
HERE = os.path.dirname(os.path.abspath(__file__))


def expect(wanted, found, what):
    if wanted != found:
        raise AssertionError(f"{what}: expected {wanted!r}, found {found!r}")


def raises(kind, call):
    """Calls what must raise this class, or one of a package above it; gives what was raised."""
    try:
        call()
    except kind as error:
        ours = [each for each in type(error).__mro__ if each.__module__ == kind.__module__]
        expect(kind, ours[0], "class of the error")
        return error
    raise AssertionError(f"expected {kind.__name__}, and nothing was raised")


def post(url, body):
    kind = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), kind)
    return urllib.request.urlopen(request, timeout=5)


class Orders:
    """What the emulator shall do next, for all deployments of chat."""

    def __init__(self, router, emulator):
        self.router, self.emulator, self.placed = router, emulator, False

    def __call__(self, *steps, deployments=CHAT_DEPLOYMENTS):
        self.placed = True
        for deployment in deployments:
            post(f"{self.emulator}/emulator/script", {"deployment": deployment, "steps": list(steps)}).close()

    def clear(self):
        """Forgets what was ordered, and waits until the router's first choice answers again."""
        if not self.placed:
            return
        forget = urllib.request.Request(f"{self.emulator}/emulator/script", method="DELETE")
        urllib.request.urlopen(forget, timeout=5).close()
        for _ in range(500):
            ask = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
            with contextlib.suppress(urllib.error.HTTPError), post(f"{self.router}/v1/chat/completions", ask) as answer:
                if answer.headers["x-router-deployment"] == "gpt4o_ptu":
                    self.placed = False
                    return
            time.sleep(0.02)
        raise AssertionError("the router does not return to its first choice")


def took(call):
    """How many seconds a call took, and what it gave."""
    began = time.monotonic()
    value = call()
    return time.monotonic() - began, value


def run(title, checks, client, order):
    """Runs checks; gives how many failed."""
    failed = 0
    for check in checks:
        try:
            check(client, order)
        except Exception as fault:
            failed += 1
            at = next((at for at in reversed(traceback.extract_tb(fault.__traceback__)) if HERE in at.filename), None)
            print(f"FAILED {title}: {check.__name__}: line {at.lineno if at else '?'}: {fault!r:.1000}", flush=True)
        order.clear()
    print(f"{title}: {len(checks)} checks", flush=True)
    return failed
