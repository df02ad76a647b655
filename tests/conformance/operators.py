"""Prints operators.txt: the operators of ai.onnx up to opset 22, each with its versions.

    python3 tests/conformance/operators.py > tests/conformance/operators.txt

Needs python3-onnx 1.17 or newer (packages-train.txt). "-" behind a version: deprecated by it.
"""

from collections import defaultdict

from onnx import defs

OPSET = 22

versions = defaultdict(dict)
for schema in defs.get_all_schemas_with_history():
    if schema.domain == "" and schema.since_version <= OPSET:
        mark = "-" if schema.deprecated else ""
        versions[schema.name][schema.since_version] = f"{schema.since_version}{mark}"

print(f"# Operators of ai.onnx up to opset {OPSET} and their versions, by operators.py.")
for name in sorted(versions):
    print(name, *(text for _, text in sorted(versions[name].items())))
