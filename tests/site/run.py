"""Builds the documentation into target/site/html and checks it.

    python3 tests/site/run.py [--programs target/debug]

mkdocs is installed once into target/site, at the versions of requirements.txt. The checks are in checks.py: the strict build,
links and anchors of all Markdown files, resources that the site would load from elsewhere, and TOML examples against the
schema. breaks.py then breaks a copy of the pages, one way after the other, and demands that a check notices. Commands on
pages and error codes are checked by cargo tests (router-server/tests/pages.rs).
"""

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import tools  # noqa: E402

ROOT = HERE.parent.parent
SITE = ROOT / "target" / "site"
VENV = SITE / "venv"
PYTHON = VENV / "bin" / "python"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target" / "debug")
    programs = parser.parse_args().programs.resolve()
    SITE.mkdir(parents=True, exist_ok=True)
    if missing := tools.install_python(VENV, HERE / "requirements.txt"):
        sys.exit(f"cannot be installed: {missing}")
    schema = subprocess.run([programs / "router-server", "schema"], check=True, capture_output=True).stdout
    (SITE / "router.schema.json").write_bytes(schema)
    done = [subprocess.run([PYTHON, HERE / script]).returncode for script in ("checks.py", "breaks.py")]
    return 1 if any(done) else 0


if __name__ == "__main__":
    sys.exit(main())
