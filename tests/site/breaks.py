"""Breaks a copy of the documentation, one way after the other, and demands that a check notices. Run by run.py.

Each row: the check, the file, what is replaced, by what, and a word of the fault that the check must report.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import checks

BREAKS = [
    (checks.links, "README.md", "(docs/keys.md", "(docs/key.md", "no such file"),
    (checks.links, "docs/tuning.md", "observability.md#request-log", "observability.md#request-logs", "no such heading"),
    (checks.links, "docs/keys.md", "../configs/example.toml", "../configs/examples.toml", "no such file"),
    (checks.examples, "docs/keys.md", "requests_per_minute = 600", "request_per_minute = 600", "request_per_minute"),
    (checks.examples, "docs/replicas.md", 'prefix = "model-router"', "prefix = 1", "prefix"),
    (checks.examples, "docs/tls.md", "[endpoints.gateway]", "[endpoints.gateway", "example"),
    (checks.blocks, "docs/deployment.md", "</inbound>", "</inbounds>", "mismatched tag"),
    (checks.blocks, "docs/deployment.md", 'buffer-response="false"', 'buffer-responses="false"', "no attribute buffer-responses"),
    (checks.blocks, "docs/deployment.md", "  <outbound><base /></outbound>\n", "  <outgoing><base /></outgoing>\n", "sections must be"),
    (checks.blocks, "docs/observability.md", "receivers: [otlp]", "receivers: [otlp", "expected ',' or ']'"),
    (checks.blocks, "docs/quickstart.md", "-d '{\"model\"", "-d {\"model\"", "unexpected EOF"),
    (checks.blocks, "docs/quickstart.md", "client = OpenAI(", "client = = OpenAI(", "invalid syntax"),
    (checks.build, "mkdocs.yml", "      - Replicas: replicas.md\n", "", "replicas.md"),
    (checks.build, "mkdocs.yml", "keys.md", "kees.md", "kees.md"),
    (checks.build, "docs/keys.md", "(replicas.md)", "(replica.md)", "replica.md"),
    (checks.build, "docs/tuning.md", "observability.md#request-log", "observability.md#request-logs", "request-logs"),
    (checks.build, "docs/dashboard.md", "(dashboard.png)", "(https://example.com/a.png)", "another server"),
    (checks.build, "mkdocs.yml", "font: false", "font: {text: Roboto}", "another server"),
]


def noticed(tree, row):
    check, name, old, new, word = row
    file = tree / name
    text = file.read_text()
    if old not in text:
        return f"{name}: `{old}` is not there: breaks.py needs another way to break it"
    file.write_text(text.replace(old, new))
    try:
        reported = "\n".join(check(tree))
    finally:
        file.write_text(text)
    return None if word in reported else f"{check.__name__} does not notice `{new}` in {name}: {reported or 'no fault'}"


def main():
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=checks.ROOT, check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for name in [*filter(None, names.split("\0")), "target/site/router.schema.json"]:
            if (checks.ROOT / name).exists():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(checks.ROOT / name, tree / name)
        blind = [fault for fault in (noticed(tree, row) for row in BREAKS) if fault]
    for fault in blind:
        print(f"  {fault}")
    print(f"breaks: {len(BREAKS) - len(blind)} passed, {len(blind)} failed", flush=True)
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main())
