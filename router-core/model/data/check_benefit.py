#!/usr/bin/env python3
"""Ranks kinds of questions by benefit: does a kind on which reasoning models gain more score higher?  (own work, CC0-1.0)

Usage: python3 check_benefit.py --data SHARED/data [--program target/release/router-server]        (standard library only)

Questions with recorded answers of a chat and a reasoning model are public for puzzles only. For exams there are gains of whole
benchmarks. So this compares kinds: of each pair below, the first is the one on which reasoning models gain more, as is generally
known (MATH, GPQA and logic grids by tens of points, MMLU by subject, GSM8K, SVAMP, MBPP and HumanEval by few).
Printed is the probability that a question of the first kind ranks above one of the second: by benefit, by digits, by letters
and by score. `check_benefit.txt` holds 40 Korean exam questions, half of them calculations, written for this check.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

PAIRS = """
math gsm8k | gpqa gsm8k | logicgrid gsm8k | math mbpp | gpqa mbpp | logicgrid mbpp | math humaneval
theoremqa gsm8k | theoremqa svamp | aqua svamp | theoremqa aqua
mmlu_calculation mmlu_recall | korean_calculation korean_recall | theoremqa_ko svamp_ko | korean_proof korean_school
korean_mathematics korean_school
"""
CALCULATION = set(
    "abstract_algebra college_mathematics high_school_mathematics elementary_mathematics college_physics high_school_physics "
    "high_school_statistics college_chemistry high_school_chemistry econometrics formal_logic college_computer_science "
    "high_school_computer_science professional_accounting".split()
)
RECALL = set(
    "anatomy global_facts high_school_european_history high_school_geography high_school_government_and_politics "
    "high_school_us_history high_school_world_history human_aging human_sexuality marketing miscellaneous nutrition philosophy "
    "prehistory public_relations sociology us_foreign_policy virology world_religions medical_genetics management "
    "high_school_psychology computer_security international_law jurisprudence security_studies college_biology "
    "high_school_biology clinical_knowledge".split()
)
SOURCES = {
    "theoremqa_en": "theoremqa", "theoremqa_ko_ask": "theoremqa_ko", "aqua_en": "aqua", "svamp_en": "svamp",
    "svamp_ko_ask": "svamp_ko", "mwp_korean_2021": "korean_school", "own_grammar_ko:proof": "korean_proof",
    "own_grammar_ko:math": "korean_mathematics",
}  # fmt: skip
MOST = 300


def rows(path):
    with open(path, encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def questions(data):
    for row in rows(data / "task/dev.jsonl"):
        if row["source"] == "llmrouter_queries":
            yield row["category"].replace("agentverse-", ""), row["text"]
    for row in rows(data / "gain/easy_negatives_mmlu.jsonl"):
        if row["family"] in CALCULATION | RECALL:
            yield "mmlu_calculation" if row["family"] in CALCULATION else "mmlu_recall", row["text"]
    for row in rows(data / "gain/omnis_humaneval.jsonl"):
        yield "humaneval", row["text"]
    for part in ("task", "task2"):
        for language in ("en", "ko"):
            for row in rows(data / part / f"{language}_reasoning.jsonl"):
                if row["source"] in SOURCES and "text" in row:
                    yield SOURCES[row["source"]], row["text"]
    for line in (Path(__file__).parent / "check_benefit.txt").read_text(encoding="utf-8").splitlines():
        kind, text = line.split("|", 1)
        yield f"korean_{kind}", text.replace("\\n", "\n")


def auc(first, second):
    wins = sum((a > b) + (a == b) / 2 for a in first for b in second)
    return wins / (len(first) * len(second))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--program", default="target/release/router-server")
    options = parser.parse_args()
    kinds = {}
    for kind, text in questions(options.data):
        kinds.setdefault(kind, []).append(text)
    # Evenly spread, as rows of one template follow each other.
    kinds = {kind: [all[at * len(all) // MOST] for at in range(MOST)] if len(all) > MOST else all for kind, all in kinds.items()}
    with tempfile.TemporaryDirectory() as folder:
        asked, found = Path(folder) / "asked.jsonl", Path(folder) / "found.jsonl"
        flat = [(kind, text) for kind, all in kinds.items() for text in all]
        with open(asked, "w", encoding="utf-8") as out:
            for kind, text in flat:
                out.write(json.dumps({"text": text, "label": "reasoning", "source": kind}) + "\n")
        command = [options.program, "evaluate", "--data", asked, "--rows-out", found]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        values = {}
        for (kind, text), row in zip(flat, rows(found), strict=True):
            digits = sum(letter in "0123456789" for letter in text)
            values.setdefault(kind, []).append((row["benefit"], digits, len(text), row["score"]))
    print("| kinds | benefit | digits | letters | score |\n| --- | --- | --- | --- | --- |")
    for pair in PAIRS.replace("\n", "|").split("|"):
        if pair.strip():
            first, second = pair.split()
            cells = [auc(*([row[at] for row in values[kind]] for kind in (first, second))) for at in range(4)]
            print(f"| `{first}` above `{second}` | " + " | ".join(f"{cell:.3f}".removeprefix("0") for cell in cells) + " |")


main()
