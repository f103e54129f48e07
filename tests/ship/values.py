"""values.schema.json is a schema, and the chart's own values fit it, without helm's reading of either."""
import json
import sys

import jsonschema
import yaml

schema = json.load(open("charts/llmrollout/values.schema.json", encoding="utf-8"))
values = yaml.safe_load(open("charts/llmrollout/values.yaml", encoding="utf-8"))
judge = jsonschema.validators.validator_for(schema)
judge.check_schema(schema)
wrong = [f"{'/'.join(map(str, e.path))}: {e.message}" for e in judge(schema).iter_errors(values)]
# Every value has a place in the schema, so that a word that is misspelled is refused.
wrong += [f"{name}: not in the schema" for name in values if name not in schema["properties"]]
unknown = list(judge(schema).iter_errors({**values, "nonsense": 1}))
if not unknown:
    wrong.append("an unknown value is taken")
print("\n".join(wrong) or f"{len(schema['properties'])} values fit the schema")
sys.exit(bool(wrong))
