#!/usr/bin/env python3
"""Writes wrapped questions that train nothing: a check of `evaluate --wrappers` (own work, CC0-1.0).

Usage: python3 check_wrappers.py [--half dev|blind] > wrapped.jsonl      (standard library only; the same output each time)

check_wrappers.txt holds the questions, the material and the templates. No template, document or question of it stands in
wrappers.txt, asks.txt or material.txt. Templates marked `dev` may be looked at while the scorer changes; those marked
`blind` are for reporting only. `{q}` stands for the question; `{doc}`, `{doc2}`, `{log}`, `{table}`, `{code}` and
`{mail}` for material. What stands behind `||` in a question are its options, `{o1}` to `{o4}`: a template marked `mc` takes only such
questions.
"""

import argparse
import json
from pathlib import Path


def blocks(text):
    head, lines = None, []
    for line in text.splitlines():
        if line.startswith("%% "):
            if head:
                yield head, "\n".join(lines).strip("\n")
            head, lines = line[3:].split(), []
        else:
            lines.append(line)
    if head:
        yield head, "\n".join(lines).strip("\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--half", choices=["dev", "blind"])
    half = parser.parse_args().half
    questions, material, templates = [], {}, []
    for head, body in blocks((Path(__file__).parent / "check_wrappers.txt").read_text(encoding="utf-8")):
        kind = head[0]
        if kind in ("reasoning", "chat"):
            for line in body.splitlines():
                if line.strip():
                    text, _, options = line.replace("\\n", "\n").partition(" || ")
                    name = f"{head[1]}-{kind[0]}{len(questions):03}"
                    questions.append((name, head[1], kind, text, options.split(" | ") if options else []))
        elif kind == "material":
            material.setdefault((head[1], head[2]), []).append(body)
        else:
            templates.append((kind, head[1], head[2], head[3], body, "mc" in head))

    def put(ask, family, label, content):
        name, lang, own, *_ = ask
        body = {"messages": [{"role": "user", "content": content}]}
        row = {"id": f"{family}-{name}", "ask_id": name, "family": family, "lang": lang, "label": label, "ask_label": own, "body": body}
        print(json.dumps(row, ensure_ascii=False))

    for number, ask in enumerate(questions):
        _, lang, label, text, options = ask
        put(ask, "bare", label, text)
        for kind, of, where, name, body, chooses in templates:
            if of != lang or (half and where != half) or (chooses and not options):
                continue
            filled = body
            for (language, slot), choices in material.items():
                if language != lang:
                    continue
                filled = filled.replace("{" + slot + "2}", choices[(number + 1) % len(choices)])
                filled = filled.replace("{" + slot + "}", choices[number % len(choices)])
            for place, option in enumerate(options, 1):
                filled = filled.replace("{o%d}" % place, option)
            if body.startswith("{") and '"{q}"' in body:
                text_in = json.dumps(text, ensure_ascii=False)[1:-1]
            else:
                text_in = text
            filled = filled.replace("{q}", text_in)
            put(ask, f"{where}:{name}", "chat" if kind == "helper" else label, filled)


main()
