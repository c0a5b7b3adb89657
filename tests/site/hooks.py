"""What mkdocs needs beyond the pages: links to files outside docs/, and the page of configuration keys.

Pages link to files of the repository by relative path, so that they work on GitHub. On the site such a link leads to the
repository, whose address is the one in Cargo.toml. The page of configuration keys is generated from
target/site/router.schema.json, which run.py writes.
"""

import json
import pathlib
import re
import tomllib

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCHEMA = ROOT / "target" / "site" / "router.schema.json"
OUTSIDE = re.compile(r"(\]\()(?:\.\./)+(?!ko/)([^)\s#]+)")


def repository():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["repository"]


def on_page_markdown(markdown, page, **_):
    here = (ROOT / "docs" / page.file.src_uri).parent

    def link(match):
        start, end = match.span(2)
        path = match.group(0)[len(match.group(1)) :]
        target = (here / path).resolve()
        if target.is_relative_to(ROOT / "docs") or not target.exists():
            return match.group(0)
        kind = "tree" if target.is_dir() else "blob"
        return f"{match.group(1)}{repository()}/{kind}/main/{target.relative_to(ROOT).as_posix()}"

    return OUTSIDE.sub(link, markdown)


def on_files(files, config):
    files.append(File.generated(config, "configuration-keys.md", content=configuration_keys()))
    return files


def configuration_keys():
    """One table per configuration table: key, type, meaning."""
    schema = json.loads(SCHEMA.read_text())
    page = [
        "# Configuration keys",
        "",
        "Generated from the JSON schema that `router-server schema` prints. "
        f"[configs/example.toml]({repository()}/blob/main/configs/example.toml) shows every key with its range in place.",
    ]
    for title, node in tables(schema, schema, ""):
        page += ["", f"## {title}", "", "| key | type | meaning; default |", "| --- | --- | --- |"]
        for key, value in node["properties"].items():
            if not is_table(schema, value):
                meaning = value.get("description", "").replace("\n", " ").replace("|", "\\|")
                page.append(f"| `{key}` | {kind(schema, value)} | {meaning} |")
    return "\n".join(page) + "\n"


def resolve(schema, node):
    """The node itself, without references and without the alternative `null`."""
    while True:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        elif len(choices := [each for each in node.get("anyOf", []) if each.get("type") != "null"]) == 1:
            node = choices[0]
        else:
            return node


def is_table(schema, node):
    node = resolve(schema, node)
    return "properties" in node or "properties" in resolve(schema, entries(node))


def entries(node):
    """The schema of a map's values; nothing for anything else."""
    values = node.get("additionalProperties")
    return values if isinstance(values, dict) else {}


def tables(schema, node, path):
    """Every table with keys of its own, by its name in TOML, in the order of the schema."""
    for key, value in node["properties"].items():
        value = resolve(schema, value)
        inner, name = value, f"{path}{key}"
        if "properties" not in value:
            inner, name = resolve(schema, entries(value)), f"{path}{key}.NAME"
        if "properties" in inner:
            if any(not is_table(schema, each) for each in inner["properties"].values()):
                yield f"[{name}]", inner
            yield from tables(schema, inner, f"{name}.")


def kind(schema, node):
    node = resolve(schema, node)
    if "enum" in node:
        return "one of " + ", ".join(f"`{each}`" for each in node["enum"])
    kinds = node.get("type", "table or value")
    kinds = [each for each in ([kinds] if isinstance(kinds, str) else kinds) if each != "null"]
    return " or ".join(kinds)
