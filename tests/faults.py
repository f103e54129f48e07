#!/usr/bin/env python3
"""What `make faults` ran, as one report: the cells of docs/faults.md, the cases it names, and the crashes. Never runs anything.
usage: faults.py PAGE CASES CRASHES REPORT"""

import json
import os
import re
import sys

page, cases, crashes, report = sys.argv[1:]
tested, reasons, faults, fault = 0, 0, {}, None
for line in open(page, encoding="utf-8"):
    if line.startswith("## "):
        fault = line[3:].split(":")[0]
    elif fault and line.startswith("| ") and not line.startswith("| moment |"):
        shown = line.split("|")[2].strip()
        tested += not shown.startswith("not shown")
        reasons += shown.startswith("not shown")
        names = [word.split("`")[1] for word in shown.split(", ") if word.startswith("lab `")]
        faults.setdefault(fault, set()).update(names)

ran = {case["name"]: case for case in json.load(open(cases, encoding="utf-8"))["cases"]}
crash = json.load(open(crashes, encoding="utf-8"))
failed = sorted(name for name, case in ran.items() if case["result"] == "failed")


def to_blue(fault, names):
    """The longest way home that the cases of a fault measured; a figure that begins with a fault is of that one alone."""
    figures = [item for name in names for item in ran.get(name, {}).items() if item[0].endswith("_to_blue_ms")]
    whose = lambda figure: re.match(r"f[0-9]+_", figure)
    own = [took for figure, took in figures if not whose(figure) or figure.startswith(fault.lower() + "_")]
    return max(own, default=None)


worst = {fault: to_blue(fault, names) for fault, names in faults.items()}
document = {
    "cells": tested + reasons,
    "tested": tested,
    "reasons": reasons,
    "runs": len(ran) + crash["runs"],
    "violations": len(failed) + crash["violations"],
    "failed": failed,
    "worst_to_blue_ms": {fault: took for fault, took in worst.items() if took is not None},
    "cases": list(ran.values()),
    "crash": crash,
}
os.makedirs(os.path.dirname(report), exist_ok=True)
json.dump(document, open(report, "w", encoding="utf-8"), indent=2)
print(f"{tested} cells tested, {reasons} with a reason; {document['runs']} runs, {document['violations']} violations; {report}")
