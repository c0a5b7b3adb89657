"""Runs hostile cases: each tries over real sockets to harm other callers of a router, on loopback alone.

    python3 tests/hostile/run.py [--programs target/debug] [name ..]

A case is a file `tests/hostile/cases/NAME.py`, found by its place; nothing lists it. It has:

- a one-line docstring: what must hold (printed when it passes or fails);
- `async def run(rig)`: starts what it needs through `rig` (see rig.py: `rig.upstream(handler)`, `rig.config(upstream, ..)`,
  `rig.router(config, limit_mib=..)`, `rig.connect`, `rig.connect_h2`, `rig.request`, `rig.ask`, `rig.well_behaved`) and
  states what it expects with `rig.check(holds, "expected .., found ..")`. Any exception fails it. It cleans nothing up: the
  rig ends whatever it started;
- optionally `ALONE = True` if it measures memory or latency under load: it then runs while no other case does. All others
  run several at once;
- optionally `SECONDS = n`, its time limit (default 30). The whole run is limited to three minutes, so long timeouts of the
  router are shortened by config where a case meets them;
- optionally `NEEDS_H2 = True` if it uses the package h2 (`rig.connect_h2`). It is installed once into target/hostile at the
  version of requirements.txt; where it cannot be installed those cases are skipped with one line.

A case must fail without the mechanism that it tests. It waits for a condition with a time limit and never sleeps in order to
be right. One line is printed for each case and `N passed, N failed` at the end; any failure makes the exit status 1. Logs and
configs stay in target/hostile/work.
"""

import argparse
import asyncio
import importlib.util
import os
import pathlib
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import tools  # noqa: E402

ROOT = HERE.parent.parent
PLACE = ROOT / "target" / "hostile"
VENV = PLACE / "venv"
PYTHON = VENV / "bin" / "python"
AT_ONCE = 6
ALL_SECONDS = 180
CASE_SECONDS = 30


def load(path):
    spec = importlib.util.spec_from_file_location(f"cases.{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def states(case):
    return (case.__doc__ or "").strip().splitlines()[0]


async def check(name, case, programs):
    """Runs one case; gives whether it passed."""
    import rig as rigs

    began, why = time.monotonic(), None
    try:
        async with rigs.Rig(name, programs, PLACE / "work") as rig:
            async with asyncio.timeout(getattr(case, "SECONDS", CASE_SECONDS)):
                await case.run(rig)
    except rigs.Failed as failed:
        why = str(failed)
    except TimeoutError:
        why = f"not done within {getattr(case, 'SECONDS', CASE_SECONDS)} s\n" + traceback.format_exc(limit=-3)
    except Exception:
        why = traceback.format_exc(limit=-4)
    took = f"{time.monotonic() - began:5.1f} s"
    print(f"{'FAIL' if why else 'pass'}  {took}  {name}: {states(case)}", flush=True)
    if why:
        print("      " + why.strip().replace("\n", "\n      "), flush=True)
    return why is None


async def run_all(cases, programs):
    """All cases, those that need the machine for themselves one after another; gives how many passed and failed."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def together(name, case):
        async with turns:
            return await check(name, case, programs)

    shared = [(name, case) for name, case in cases.items() if not getattr(case, "ALONE", False)]
    results = list(await asyncio.gather(*(together(name, case) for name, case in shared)))
    for name, case in cases.items():
        if getattr(case, "ALONE", False):
            results.append(await check(name, case, programs))
    return results.count(True), results.count(False)


async def main(cases, programs):
    try:
        async with asyncio.timeout(ALL_SECONDS):
            return await run_all(cases, programs)
    except TimeoutError:
        print(f"FAIL  the run took longer than {ALL_SECONDS} s")
        return 0, 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target" / "debug")
    parser.add_argument("names", nargs="*", help="cases to run; all of them without any")
    given = parser.parse_args()
    PLACE.mkdir(parents=True, exist_ok=True)
    missing = tools.install_python(VENV, HERE / "requirements.txt").get("h2")
    if missing is None and pathlib.Path(sys.prefix) != VENV:
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    sys.path.insert(0, str(HERE))
    found = {path.stem: load(path) for path in sorted((HERE / "cases").glob("*.py"))}
    if unknown := set(given.names) - set(found):
        raise SystemExit(f"no such case: {', '.join(sorted(unknown))}")
    wanted = {name: case for name, case in found.items() if name in given.names or not given.names}
    if missing is not None:
        for name in [name for name, case in wanted.items() if getattr(case, "NEEDS_H2", False)]:
            print(f"skip  {name}: h2 cannot be installed: {missing}")
            del wanted[name]
    passed, failed = asyncio.run(main(wanted, given.programs.resolve()))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
