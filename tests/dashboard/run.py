"""Checks the dashboard in a headless Chromium, against a real router under traffic, all on loopback.

    python3 tests/dashboard/run.py [--programs target/debug] [--shots target/dashboard/shots]

Chromium comes from the system's packages, the driver and axe-core from npm at the versions of package.json, installed once
into target/dashboard. Where one of them cannot be installed the check is skipped with one line that says why; everything
else that goes wrong is a failure. Screenshots stay in the folder of --shots.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import tools  # noqa: E402

ROOT = HERE.parent.parent
WORK = ROOT / "target" / "dashboard"
NAMES = ["chromium", "chromium-browser", "google-chrome"]


def chromium():
    """The path of a Chromium, installed where the system lets us; or why there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found, ""
    why = "it is not installed, and only root on a Debian system can install it"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        tools.run(["apt-get", "update"], env=environment)
        _, why = tools.run(["apt-get", "install", "--yes", "--no-install-recommends", "chromium"], env=environment)
    return shutil.which("chromium"), why


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target" / "debug")
    parser.add_argument("--shots", type=pathlib.Path, default=WORK / "shots")
    parser.add_argument("steps", nargs="*", help="only these, after one another; default: all")
    asked = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    browser, why = chromium()
    if not browser:
        print(f"SKIPPED dashboard: no Chromium: {why}")
        return 0
    if why := tools.install_node(WORK, HERE):
        print(f"SKIPPED dashboard: playwright-core and axe-core cannot be installed: {why}")
        return 0
    asked.shots.mkdir(parents=True, exist_ok=True)
    command = ["node", WORK / "check.mjs", browser, asked.programs.resolve(), HERE, asked.shots.resolve(), *asked.steps]
    return subprocess.run([str(part) for part in command], timeout=900, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
