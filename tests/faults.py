#!/usr/bin/env python3
"""What `make faults` ran, as one report: the cells of docs/faults.md, the cases it names, and the crashes. Never runs anything.
usage: faults.py PAGE CASES CRASHES REPORT"""

import json
import sys

page, cases, crashes, report = sys.argv[1:]
cells, faults, fault = {"shown": 0, "not_shown": 0}, {}, None
for line in open(page, encoding="utf-8"):
    if line.startswith("## "):
        fault = line[3:].split(":")[0]
    elif fault and line.startswith("| ") and not line.startswith("| moment |"):
        shown = line.split("|")[2].strip()
        cells["not_shown" if shown.startswith("not shown") else "shown"] += 1
        names = [word.split("`")[1] for word in shown.split(", ") if word.startswith("lab `")]
        faults.setdefault(fault, set()).update(names)

ran = {case["name"]: case for case in json.load(open(cases, encoding="utf-8"))["cases"]}
crash = json.load(open(crashes, encoding="utf-8"))
times = {name: [v for k, v in case.items() if k.endswith("_ms")] for name, case in ran.items()}
failed = sorted(name for name, case in ran.items() if case["result"] == "failed")
document = {
    "cells": cells,
    "runs": len(ran) + crash["runs"],
    "violations": len(failed) + crash["violations"],
    "failed": failed,
    "worst_ms": {
        fault: max((t for name in names for t in times.get(name, [])), default=None) for fault, names in faults.items() if names
    },
    "cases": list(ran.values()),
    "crash": crash,
}
json.dump(document, open(report, "w", encoding="utf-8"), indent=2)
print(f"{cells['shown']} cells shown, {cells['not_shown']} not; {document['runs']} runs, {document['violations']} violations; {report}")
