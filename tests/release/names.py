"""Names and versions that a release must agree on. Run by run.py as a check, and by the release workflow.

    python3 tests/release/names.py                   every image name follows from `repository` in Cargo.toml
    python3 tests/release/names.py --owner NAME      writes the owner into Cargo.toml and every image name
    python3 tests/release/names.py --tag v1.2.3      the tag, the crates and the chart have one version
    python3 tests/release/names.py --notes 1.2.3     prints the changelog of a version

It changes no version: that is an edit for a person to make.
"""

import argparse
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
REGISTRY = "ghcr.io"
MANIFEST = "Cargo.toml"
REPORT = "deploy/kubernetes/report.yaml"
CHART = "deploy/helm/model-router/Chart.yaml"
REPOSITORY = re.compile(r'(?m)^(repository = "https://github\.com/)([\w-]+)(/[\w.-]+"$)')
# Patterns of image names: the part in the middle is the registry and the owner.
IMAGES = {
    "deploy/helm/model-router/values.yaml": re.compile(r"(?m)^(  repository: )(\S+)(/model-router)$"),
    REPORT: re.compile(r"(?m)^(          image: )(\S+)(/model-router-tools:\d\S*)$"),
    "compose.yaml": re.compile(r"(?m)^(    image: )(\S+)(/(?:model-router|model-router-tools|azure-emulator):local)$"),
}
# The number of names in each file, so that a line of another form is noticed.
COUNTS = {REPORT: 1, "deploy/helm/model-router/values.yaml": 1, "compose.yaml": 3}


def images_of(owner):
    return f"{REGISTRY}/{owner.lower()}"


def faults(root):
    """Image names that differ from what the repository's owner gives."""
    found = REPOSITORY.search((root / MANIFEST).read_text())
    if not found:
        return [f"{MANIFEST}: `repository` is no address of the form https://github.com/OWNER/NAME"]
    wanted, lines = images_of(found[2]), []
    for name, pattern in IMAGES.items():
        named = [match[2] for match in pattern.finditer((root / name).read_text())]
        if len(named) != COUNTS[name]:
            lines.append(f"{name}: {len(named)} image names of the project, expected {COUNTS[name]}")
        lines += [f"{name}: {one} where the owner in {MANIFEST} gives {wanted}" for one in named if one != wanted]
    return lines


def write(root, owner):
    """Puts the owner in every place."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", owner):
        sys.exit(f"no name of an account: {owner!r}")
    places = {MANIFEST: (REPOSITORY, owner), **{name: (pattern, images_of(owner)) for name, pattern in IMAGES.items()}}
    for name, (pattern, value) in places.items():
        text = (root / name).read_text()
        (root / name).write_text(pattern.sub(lambda match, value=value: match[1] + value + match[3], text))


def versions(root):
    """Every version of the project, by place."""
    workspace = tomllib.loads((root / MANIFEST).read_text())["workspace"]
    chart = (root / CHART).read_text()
    there = {"the workspace": workspace["package"]["version"]}
    for name, crate in workspace["dependencies"].items():
        if "path" in crate and "version" in crate:
            there[f"the dependency {name}"] = crate["version"]
    there["the image in deploy/kubernetes/report.yaml"] = re.search(r"model-router-tools:(\S+)", (root / REPORT).read_text())[1]
    for key in ("version", "appVersion"):
        there[f"the chart's {key}"] = re.search(rf"(?m)^{key}: (\S+)$", chart)[1]
    return there


def apart(root, wanted=None):
    """Versions that differ from the wanted one, or from the workspace's."""
    there = versions(root)
    wanted = wanted or there["the workspace"]
    return [f"{place} has version {version}, expected {wanted}" for place, version in there.items() if version != wanted]


def notes(root, version):
    text = (root / "CHANGELOG.md").read_text()
    found = re.search(rf"(?ms)^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", text)
    return found[1].strip() if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--owner")
    parser.add_argument("--tag")
    parser.add_argument("--notes", metavar="VERSION")
    asked = parser.parse_args()
    if asked.owner:
        write(ROOT, asked.owner)
    lines = faults(ROOT)
    if asked.tag:
        lines += apart(ROOT, asked.tag.removeprefix("v"))
        if notes(ROOT, asked.tag.removeprefix("v")) is None:
            lines.append(f"CHANGELOG.md has no section for {asked.tag}")
    if asked.notes and not lines:
        print(notes(ROOT, asked.notes) or "")
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
