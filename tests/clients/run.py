"""Runs real clients against a router in front of the emulator, all on loopback.

    python3 tests/clients/run.py [--programs target/debug] [name ..]

Packages are installed once into target/clients, at the versions of requirements.txt and package.json. A check whose
package cannot be installed is skipped with one line that says why; everything else that goes wrong is a failure. Each
script gets a router and an emulator of its own, at ports that the system chooses, so that the 429s which one of them
orders are not another's. Nothing but Python's own library is used here.
"""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import tools  # noqa: E402

ROOT = HERE.parent.parent
WORK = ROOT / "target" / "clients"
VENV = WORK / "venv"
NODE = WORK / "node"
PYTHON = VENV / "bin" / "python"

# Script -> the package without which it is skipped; the longest first, so that none of them is left for the end.
PYTHON_SCRIPTS = {
    "sdk_suite": "openai",
    "llmock_upstream": "llmock",
    "openapi_fuzz": "schemathesis",
    "langchain_python": "langchain-openai",
    "pydantic_ai_python": "pydantic-ai-slim",
    "openai_python": "openai",
    "keys_python": "openai",
}
NODE_SCRIPTS = {"openai_node": "openai", "ai_sdk_node": "ai"}
# They wait more than they work.
AT_ONCE = 3
# A limit for what hangs: on a machine with much else to do the longest takes five minutes.
LONGEST_SECONDS = 600


def word(pattern, log, process):
    """The first group of `pattern` in a log that is being written."""
    for _ in range(600):
        if found := re.search(pattern, log.read_text()):
            return found.group(1)
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"{log.name}: did not start\n{log.read_text()[-2000:]}")


class Stage:
    """Programs that a script runs against; all end with it."""

    def __init__(self, programs, name):
        self.programs, self.name, self.running = programs, name, contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running.close()

    def start(self, kind, command, pattern, environment=None):
        """Starts a program and waits for its address."""
        log = WORK / f"{self.name}.{kind}.log"
        file = self.running.enter_context(log.open("w"))
        more = {"stdout": file, "stderr": subprocess.STDOUT, "env": {**os.environ, **(environment or {})}}
        process = subprocess.Popen([str(part) for part in command], **more)
        self.running.callback(process.wait)
        self.running.callback(process.kill)
        return word(pattern, log, process)

    def emulator(self):
        command = [self.programs / "azure-emulator", "serve", "--listen", "127.0.0.1:0"]
        command += ["--config", HERE / "emulator.toml"]
        return self.start("emulator", command, r"endpoint +(http://\S+)")

    def router(self, emulator):
        files = ["--config", HERE / "router.toml"]
        own = HERE / f"{self.name}.toml"
        files += ["--config", own] if own.exists() else []
        settings = {
            "ROUTER__SERVER__LISTEN": "127.0.0.1:0",
            "ROUTER__SERVER__LOG": "json",
            "ROUTER__ENDPOINTS__EMULATOR__URL": emulator,
        }
        command = [self.programs / "router-server", "serve", *files, "--unready-ms", "0"]
        return "http://" + self.start("router", command, r'"address": ?"([^"]+)"', settings)


def check(script, programs):
    """Runs one script; gives whether it passed and what it said."""
    began = time.monotonic()
    with Stage(programs, script) as stage:
        emulator = stage.emulator()
        router = stage.router(emulator)
        command = [PYTHON, HERE / f"{script}.py"] if script in PYTHON_SCRIPTS else ["node", NODE / f"{script}.mjs"]
        environment = {
            **os.environ,
            "ROUTER_SERVER": str(programs / "router-server"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANGSMITH_TRACING": "false",
        }
        said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        try:
            done = subprocess.run([*command, router, emulator], env=environment, timeout=LONGEST_SECONDS, **said)
            passed, text = done.returncode == 0, done.stdout
        except subprocess.TimeoutExpired as fault:
            output = fault.stdout or ""
            text = output.decode() if isinstance(output, bytes) else output
            passed, text = False, text + f"did not end within {LONGEST_SECONDS} s\n"
    if not passed:
        log = (WORK / f"{script}.router.log").read_text().splitlines()
        text += "".join(f"router: {line}\n" for line in log[-20:])
    return passed, text + f"{script}: {time.monotonic() - began:.1f} s\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target" / "debug")
    parser.add_argument("names", nargs="*", help="scripts to run; all of them where none is named")
    asked = parser.parse_args()
    programs = asked.programs.resolve()
    WORK.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        python = pool.submit(tools.install_python, VENV, HERE / "requirements.txt")
        node = pool.submit(tools.install_node, NODE, HERE)
        python, why = python.result(), node.result()
    node = dict.fromkeys(NODE_SCRIPTS.values(), why) if why else {}
    print(f"installed: {time.monotonic() - began:.1f} s")
    ready, skipped = [], 0
    for scripts, missing in [(PYTHON_SCRIPTS, python), (NODE_SCRIPTS, node)]:
        for script, package in scripts.items():
            if asked.names and script not in asked.names:
                continue
            if package in missing:
                skipped += 1
                print(f"SKIPPED {script}: {package} cannot be installed: {missing[package]}")
            else:
                ready.append(script)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for passed, text in pool.map(lambda script: check(script, programs), ready):
            failed += not passed
            print(text, end="", flush=True)
    print(f"{len(ready) - failed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
