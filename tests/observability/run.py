"""Checks what Prometheus and Grafana are given: the rules are read, fire when they should, and each query is PromQL.

    python3 tests/observability/run.py

promtool comes with the Debian package prometheus and is installed where the system lets us; else the check is skipped with
one line that says why.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CONFIGS = HERE.parent.parent / "configs"
RULES = [CONFIGS / "prometheus" / name for name in ["recording.yml", "alerts.yml"]]
BOARD = CONFIGS / "grafana" / "model-router.json"


def promtool():
    """Its path, or why there is none."""
    found = shutil.which("promtool")
    if found or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found, "it is not installed, and only root on a Debian system can install it"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run(["apt-get", "update"], check=False, **quiet)
    subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", "prometheus"], check=False, **quiet)
    return shutil.which("promtool"), "the package prometheus could not be installed"


def queries(value):
    """The expressions of panels and annotations, as Grafana would send them."""
    if isinstance(value, dict):
        for name, inside in value.items():
            if name == "expr":
                yield re.sub(r"\$__\w+", "5m", inside).replace("$job", ".*").replace("$deployment", ".*")
            else:
                yield from queries(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from queries(inside)


def untested():
    """Alerts that no test names."""
    alerts = re.findall(r"- alert: (\w+)", RULES[1].read_text())
    tested = re.findall(r"alertname: (\w+)", (HERE / "alerts_test.yml").read_text())
    return sorted(set(alerts) - set(tested)), len(alerts)


def main():
    tool, why = promtool()
    if not tool:
        print(f"SKIPPED observability: no promtool: {why}")
        return 0
    lacking, alerts = untested()
    if lacking:
        print(f"alerts without a test: {', '.join(lacking)}")
        return 1
    found = list(queries(json.loads(BOARD.read_text())))
    with tempfile.TemporaryDirectory() as folder:
        board = pathlib.Path(folder, "board.yml")
        rules = [{"record": f"board:query:{at}", "expr": query} for at, query in enumerate(found)]
        board.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
        for what in (
            ["check", "config", "--syntax-only", CONFIGS / "prometheus" / "prometheus.yml"],
            ["check", "rules", *RULES, board],
            ["test", "rules", HERE / "alerts_test.yml"],
        ):
            done = subprocess.run([tool, *map(str, what)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if done.returncode:
                print(done.stdout)
                return done.returncode
    print(f"observability: {alerts} alerts fire when they should, {len(found)} queries of Grafana are PromQL")
    return 0


if __name__ == "__main__":
    sys.exit(main())
