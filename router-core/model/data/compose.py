#!/usr/bin/env python3
"""Writes own_rows.jsonl: labelled requests composed from asks written for this project (CC0-1.0).

Usage: python3 compose.py > own_rows.jsonl      (standard library only; the same output each time)

An ask says what is wanted; material is what it is about. The same material stands under asks of both labels, so that
the label is carried by the ask. `{a|b|c}` picks one; `#` becomes a small number.
"""

import json
import random
import re
from pathlib import Path

HERE = Path(__file__).parent
DICE = random.Random(20260)
SEEN = set()


def lines(name):
    """The blocks of an asks file: lines under `## label lang kind`."""
    block = None
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            block = tuple(line[3:].split())
        elif line.strip():
            yield block, line.replace("\\n", "\n")


def filled(text):
    while True:
        found = re.search(r"\{([^{}]*\|[^{}]*)\}", text)
        if not found:
            break
        text = text[: found.start()] + DICE.choice(found.group(1).split("|")) + text[found.end() :]
    return re.sub("#", lambda _: str(DICE.choice([2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 18, 20, 24, 35, 48, 60, 75, 120, 250])), text)


def put(label, lang, source, text, **more):
    text = text.strip()
    if text in SEEN:
        return
    SEEN.add(text)
    row = {"text": text, "lang": lang, "label": label, "source": source, "license": "CC0-1.0", **more}
    print(json.dumps(row, ensure_ascii=False))


POLITE = {
    "en": ["", "", "", "", "Please ", "Could you ", "Hi, ", "I need help: ", "Quick one: ", "hey, "],
    "ko": ["", "", "", "", "안녕하세요. ", "혹시 ", "부탁드려요. ", "질문이 있습니다. ", "급한데 ", "저기요, "],
}


def dressed(lang, text):
    """Now and then a greeting, another case or no full stop, as people write."""
    start = DICE.choice(POLITE[lang])
    if lang == "en":
        if start and start[-2] not in ".:,":
            text = text[0].lower() + text[1:]
        elif DICE.random() < 0.12:
            text = text[0].lower() + text[1:]
        if DICE.random() < 0.15:
            text = text.rstrip(".?")
    elif DICE.random() < 0.1:
        text = text.rstrip(".?")
    return start + text


def main():
    asks, material = {}, {}
    for (label, lang, kind), line in lines("asks.txt"):
        asks.setdefault((label, lang, kind), []).append(line)
    for (kind, *_), line in lines("material.txt"):
        material.setdefault(kind, []).append(line)
    for (label, lang, kind), written in sorted(asks.items()):
        source = f"project_{lang}_{kind}"
        about = re.match(r"on_(\w+)", kind)
        if about is None:
            for ask in written:
                times = (8 if kind in ("brief", "lure") else 3) if re.search(r"#|\{", ask) else 1
                for _ in range(times):
                    put(label, lang, source, filled(ask))
                put(label, lang, source, dressed(lang, filled(ask)))
            continue
        for ask in written:
            pieces = material[about.group(1)]
            for piece in DICE.sample(pieces, min(8, len(pieces))):
                # A long piece now and then, so that length does not tell the label.
                if DICE.random() < 0.2:
                    piece = "\n\n".join([piece, *DICE.sample(pieces, min(4, len(pieces)))])
                if about.group(1) == "code" and DICE.random() < 0.7:
                    piece = f"```\n{piece}\n```"
                ask_text = dressed(lang, filled(ask))
                form = DICE.random()
                gap = DICE.choice(["\n", "\n\n", "\n\n"])
                text = f"{ask_text}{gap}{piece}" if form < 0.6 else f"{piece}{gap}{ask_text}"
                put(label, lang, source, text, slice="trap" if label == "chat" else "context")


main()
