"""The checks of the documentation. Run by run.py; breaks.py calls them on broken copies.

Each check takes the root of a tree and returns its faults as texts. They read Markdown files, the schema in target/site, and
what mkdocs builds; they do not judge wording.
"""

import ast
import html.parser
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.parse
import xml.etree.ElementTree

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCHEMA = ROOT / "target" / "site" / "router.schema.json"
FENCE = re.compile(r"^(```+)(\w*)[^\n]*\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
REFERENCE = re.compile(r"^\[[^\]\n]+\]:\s+(\S+)", re.MULTILINE)


def pages(tree):
    """The Markdown files at the root and below docs/."""
    return sorted([*tree.glob("*.md"), *tree.glob("docs/**/*.md"), *tree.glob("router-core/model/*.md")])


def prose(text):
    """The text without its code blocks."""
    return FENCE.sub("", text)


def anchors(text):
    """The anchors that GitHub and the site give to headings."""
    found, counts = set(), {}
    for heading in re.findall(r"^#{1,6} (.+)$", prose(text), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        seen = counts.get(slug, 0)
        counts[slug] = seen + 1
        found.add(f"{slug}-{seen}" if seen else slug)
    return found


def links(tree):
    """Every link of a Markdown file leads to a file of the tree, and to a heading if it names one."""
    faults = []
    for page in pages(tree):
        text = prose(page.read_text())
        for link in LINK.findall(text) + REFERENCE.findall(text):
            address = urllib.parse.urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (page.parent / urllib.parse.unquote(address.path)).resolve() if address.path else page
            where = f"{page.relative_to(tree)}: {link}"
            if not target.exists() and target.name != "configuration-keys.md":
                faults.append(f"{where}: no such file")
            elif address.fragment and target.suffix == ".md" and address.fragment not in anchors(target.read_text()):
                faults.append(f"{where}: no such heading")
    return faults


def examples(tree):
    """Every TOML block of a page parses, and its tables that the schema knows obey it."""
    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.Draft202012Validator(schema)
    faults = []
    for page in pages(tree):
        if page.name in ("CHANGELOG.md", "emulator.md"):  # the emulator has a configuration of its own, tested there
            continue
        for block in FENCE.finditer(page.read_text()):
            if block.group(2) != "toml":
                continue
            where = f"{page.relative_to(tree)}: example `{block.group(3).splitlines()[0]}`"
            try:
                found = tomllib.loads(block.group(3).replace('".."', '"x"'))
            except tomllib.TOMLDecodeError as error:
                faults.append(f"{where}: {error}")
                continue
            if "dependencies" in found:  # a Cargo.toml
                continue
            faults += [f"{where}: {'.'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(found)]
    return faults


# Policies of API Management that our pages use, with the attributes that Microsoft documents for each.
POLICIES = {
    "set-backend-service": {"base-url", "backend-id"},
    "set-header": {"name", "exists-action"},
    "forward-request": {
        "timeout", "timeout-ms", "continue-timeout", "http-version", "follow-redirects", "buffer-request-body", "buffer-response",
        "fail-on-error-status-code",
    },
    "authentication-managed-identity": {"resource", "client-id", "output-token-variable-name", "ignore-error"},
    "azure-openai-token-limit": {
        "counter-key", "tokens-per-minute", "token-quota", "token-quota-period", "estimate-prompt-tokens",
        "retry-after-header-name", "remaining-tokens-header-name", "tokens-consumed-header-name",
    },
    "retry": {"condition", "count", "interval", "max-interval", "delta", "first-fast-retry"},
    "value": set(),
    "base": set(),
}
SECTIONS = ["inbound", "backend", "outbound", "on-error"]


def policy(text):
    """Faults of a policy document of API Management."""
    root = xml.etree.ElementTree.fromstring(text)
    if root.tag != "policies":
        return []
    named = [section.tag for section in root]
    faults = [] if named == [one for one in SECTIONS if one in named] else [f"sections must be {', '.join(SECTIONS)}"]
    for element in (element for section in root for element in section.iter() if element is not section):
        if element.tag not in POLICIES:
            faults.append(f"no policy {element.tag} that our pages know")
        faults += [f"{element.tag}: no attribute {one}" for one in element.keys() if one not in POLICIES.get(element.tag, set())]
    return faults


def shell(text):
    """Faults of shell lines; a placeholder such as OWNER is a word like any other."""
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    return done.stderr.splitlines()


def readable(kind, text):
    """Faults of a block in its language, or none for languages that nothing here reads."""
    try:
        match kind:
            case "xml":
                return policy(text)
            case "yaml":
                list(yaml.safe_load_all(text))
            case "json":
                json.loads(text)
            case "sh":
                return shell(text)
            case "python":
                compile(text, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (ValueError, SyntaxError, yaml.YAMLError, xml.etree.ElementTree.ParseError) as fault:
        return [str(fault).replace("\n", " ")]
    return []


def blocks(tree):
    """XML, YAML, JSON, shell and Python blocks are of their language; policies name what API Management has."""
    faults = []
    for page in pages(tree):
        for block in FENCE.finditer(page.read_text()):
            where = f"{page.relative_to(tree)}: example `{block.group(3).splitlines()[0]}`"
            faults += [f"{where}: {fault}" for fault in readable(block.group(2), block.group(3))]
    return faults


def build(tree):
    """mkdocs builds the site without a warning: every page is in the navigation, links and anchors exist."""
    with tempfile.TemporaryDirectory() as folder:
        target = ROOT / "target" / "site" / "html" if tree == ROOT else pathlib.Path(folder)
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", target]
        quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(command, cwd=tree, env=quiet, capture_output=True, text=True)
        if done.returncode:
            return [line for line in done.stderr.splitlines() if line and not line.startswith("INFO")]
        return loaded_from_elsewhere(target)


class Resources(html.parser.HTMLParser):
    """Collects what a browser would load for a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in ("script", "img", "iframe", "source"):
            self.found.append(attributes.get("src") or "")
        elif tag == "link" and attributes.get("rel") != "canonical":
            self.found.append(attributes.get("href") or "")


def loaded_from_elsewhere(folder):
    faults = []
    for page in sorted(folder.rglob("*.html")):
        resources = Resources()
        resources.feed(page.read_text())
        for address in resources.found:
            if urllib.parse.urlsplit(address).netloc:
                faults.append(f"{page.relative_to(folder)}: loads {address} from another server")
    return faults


CHECKS = [links, examples, blocks, build]


def main():
    logging.disable()
    failed = 0
    for check in CHECKS:
        faults = check(ROOT)
        for fault in faults:
            print(f"  {fault}")
        print(f"{check.__name__}: {'failed' if faults else 'passed'}", flush=True)
        failed += bool(faults)
    print(f"{len(CHECKS) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
