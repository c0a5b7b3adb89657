"""Breaks a copy of the documentation, one way after the other, and demands that a check notices. Run by run.py.

The rows are explained in tools.py.
"""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import checks  # noqa: E402
import tools  # noqa: E402

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


def main():
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        tools.copy_repository(checks.ROOT, tree, "target/site/router.schema.json")
        blind = tools.unnoticed(tree, BREAKS)
    for fault in blind:
        print(f"  {fault}")
    print(f"breaks: {len(BREAKS) - len(blind)} passed, {len(blind)} failed", flush=True)
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main())
