"""The report of `make mutants`: what the first round caught, and what the second did of the rest.

usage: mutants.py FIRST SECOND REPORT   (two outcomes.json of cargo-mutants; the second may be missing)
"""

import json
import pathlib
import sys

first, second, report = (pathlib.Path(name) for name in sys.argv[1:])
one = json.loads(first.read_text())
two = json.loads(second.read_text()) if second.exists() else {"caught": 0, "timeout": 0, "missed": one["missed"]}
caught = sum(round_["caught"] + round_["timeout"] for round_ in (one, two))
told = {
    "generated": one["total_mutants"],
    "caught": caught,
    "missed": two["missed"],
    "unviable": one["unviable"],
    "share_caught": round(caught / max(1, caught + two["missed"]), 4),
}
report.write_text(json.dumps(told, indent=2) + "\n")
print(json.dumps(told))
