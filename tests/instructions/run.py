#!/usr/bin/env python3
"""Instructions per request of the path in memory, by callgrind, against the recorded figures.

    tests/instructions/run.py [--record]

Two runs with different numbers of requests are subtracted, so that the start does not count. An instruction count does not depend
on how busy the machine is; it depends on the compiler, so figures are recorded again when that changes. It fails if a figure is
more than 3 % above the recorded one, and says so if it is more than 3 % below: then record it."""
import json, os, re, shutil, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RECORDED = os.path.join(HERE, "recorded.json")
FEW, MANY = 50, 250
WITHIN = 0.03


def program():
    """The benchmark's program, built as cargo builds a release."""
    command = ["cargo", "bench", "-p", "router-core", "--profile", "release", "--bench", "instructions", "--no-run",
               "--message-format", "json-render-diagnostics"]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = [line.get("executable") for line in map(json.loads, told.splitlines())
             if line.get("reason") == "compiler-artifact" and line["target"]["name"] == "instructions"]
    return next(path for path in found if path)


def counted(path, size, requests):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", path, str(size), str(requests)]
    # The C library then copies by the same instructions on every processor with AVX2.
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-ERMS,-FSRM"}
    told = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True, env=environment).stderr
    return int(re.search(r"Collected : (\d+)", told)[1])


def main():
    if not shutil.which("valgrind"):
        print("skipped: there is no valgrind here, and it could not be installed")
        return 0
    path, found = program(), {}
    recorded = json.load(open(RECORDED)) if os.path.exists(RECORDED) else {}
    failed = False
    for size in (1_024, 10_240):
        figure = round((counted(path, size, MANY) - counted(path, size, FEW)) / (MANY - FEW))
        found[str(size)] = figure
        before = recorded.get(str(size), figure)
        change = figure / before - 1
        word = "more than recorded" if change > WITHIN else "less: record it (--record)" if change < -WITHIN else "as recorded"
        print(f"{size} bytes: {figure:,} instructions a request, recorded {before:,}, {change:+.1%}: {word}")
        failed |= change > WITHIN
    if "--record" in sys.argv:
        with open(RECORDED, "w") as out:
            json.dump(found, out, indent=1)
            out.write("\n")
        return 0
    return int(failed)


sys.exit(main())
