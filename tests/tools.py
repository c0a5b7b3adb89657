"""Helpers of the checks in tests/*/: packages that are installed once, and files that are broken to show that a check fails."""

import re
import shutil
import subprocess
import sys


def run(command, **more):
    """Runs a command; returns whether it succeeded, and the line that says why not."""
    try:
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, **more)
    except (OSError, subprocess.TimeoutExpired) as fault:
        return False, str(fault)
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    faults = [line for line in lines if line.startswith(("ERROR", "npm error"))]
    return done.returncode == 0, (faults or lines[-1:] or [f"exit status {done.returncode}"])[0]


def install_python(venv, requirements, *options):
    """Makes a virtual environment, unless it is there. Returns the packages that cannot be installed, with the reasons."""
    wanted = requirements.read_text()
    packages = [re.split(r"[\[=]", line)[0] for line in wanted.splitlines() if re.match(r"[\w-]", line)]
    stamp = venv / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return {}
    made, why = run([sys.executable, "-m", "venv", "--clear", venv])
    if not made:
        return dict.fromkeys(packages, why)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options]
    done, why = run([*pip, "--requirement", requirements])
    if done:
        stamp.write_text(wanted)
        return {}
    if options:
        # With hashes, nothing is used if one of them differs.
        return dict.fromkeys(packages, why)
    each = {package: run([*pip, line]) for package, line in zip(packages, wanted.split())}
    return {package: why for package, (done, why) in each.items() if not done}


def install_node(folder, here):
    """Installs the packages of `here`/package.json and copies the scripts beside them, where Node looks for packages.
    Returns why that failed, or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for script in here.glob("*.mjs"):
        shutil.copy(script, folder)
    wanted = (here / "package.json").read_text()
    stamp = folder / "installed.json"
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    (folder / "package.json").write_text(wanted)
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
    done, why = run(["npm", "install", *quiet], cwd=folder)
    if done:
        stamp.write_text(wanted)
        return None
    return why


def copy_repository(root, tree, *more):
    """Copies the files of the repository, without history and build output."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in [*filter(None, listed.split("\0")), *more]:
        if (root / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, tree / name)


def unnoticed(tree, rows):
    """Breaks the files of `tree`, one row after the other, and returns why a check did not notice.

    A check that cannot fail checks nothing. Each row: the check, the file, the text that is replaced, its replacement, and a
    word of the fault that the check must report."""
    blind = []
    for check, name, old, new, word in rows:
        file = tree / name
        text = file.read_text()
        if old not in text:
            blind.append(f"{name}: `{old}` is not there: the row needs another way to break it")
            continue
        file.write_text(text.replace(old, new))
        try:
            reported = "\n".join(check(tree))
        finally:
            file.write_text(text)
        if word not in reported:
            blind.append(f"{check.__name__} does not notice `{new}` for `{old}` in {name}: {reported or 'no fault'}")
    return blind
