"""Generates `distributed_pool/models.py` from the contract. With `--check` it only compares.

Readers are tolerant: a newer member may send words, codes and keys that this version does not
know. So the models have no patterns, no limits, and no closed lists of words.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "openapi" / "openapi.sdk.json"
MODELS = HERE / "distributed_pool" / "models.py"
#: The answers that the package gives to its callers.
ROOTS = "PoolEvent Child ChildResult RunProblem Pool PoolList PoolChildList".split()
HEADER = '''"""The answers of members. `generate_models.py` makes this file from the contract."""
'''
#: Keys without which an answer has no meaning. Another one that is missing gets a default.
NEEDED = ("type", "id", "code", "problem", "child", "droppedBytes", "done", "position")
DEFAULTS = {"string": "", "integer": 0, "number": 0.0, "boolean": False, "array": []}
CLOSED = ("pattern", "minimum", "maximum", "minLength", "maxLength", "examples", "format")


def open_schema(schema, name=None):
    """The schema without what a newer member might not keep to."""
    if isinstance(schema, list):
        return [open_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: open_schema(each) for key, each in schema.items() if not is_closed(key, each)}
    words = kept.get("enum")
    if words is not None and len(words) > 1:
        del kept["enum"]
    return kept


def loosen(schema):
    """Gives keys that an answer may lack a default of their type, or null."""
    for key in [key for key in schema.get("required", []) if key not in NEEDED]:
        each = schema["properties"][key]
        schema["required"].remove(key)
        if str(each.get("type")) in DEFAULTS and "format" not in each:
            each["default"] = DEFAULTS[each["type"]]


def is_closed(key, value):
    is_date = key == "format" and value == "date-time"
    return (key in CLOSED and not isinstance(value, dict) and not is_date) or key.startswith("x-")


def references(schema):
    if isinstance(schema, dict):
        for key, each in schema.items():
            if key == "$ref":
                yield each.rpartition("/")[2]
            yield from references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from references(each)


def reduced():
    """The contract with the schemas of answers alone, and the codes."""
    document = json.loads(DOCUMENT.read_text("utf-8"))
    schemas = document["components"]["schemas"]
    codes = schemas["ErrorCode"]["x-extensible-enum"]
    wanted, pending = {}, list(ROOTS)
    while pending:
        name = pending.pop()
        if name in wanted:
            continue
        schema = wanted[name] = open_schema(schemas[name])
        if name.endswith("Event") and name != "PoolEvent":
            # A stream tells the type of each event, and a problem may lack its URN.
            number = {"type": "integer", "description": "Its number in the child's log."}
            schema["properties"]["id"] = number
        elif "type" in schema.get("required", []):
            schema["required"].remove("type")
            schema["properties"]["type"]["default"] = ""
        loosen(schema)
        pending += references(schema)
    del wanted["PoolEvent"]
    document["components"] = {"schemas": dict(sorted(wanted.items()))}
    document["paths"] = {}
    return document, codes


def generated():
    document, codes = reduced()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "openapi.json"), Path(folder, "models.py")
        source.write_text(json.dumps(document), "utf-8")
        arguments = (
            "--input-file-type openapi --output-model-type pydantic_v2.BaseModel "
            "--target-python-version 3.10 --no-use-union-operator --snake-case-field "
            "--allow-population-by-field-name "
            "--extra-fields allow --use-schema-description --use-field-description "
            "--disable-timestamp --enum-field-as-literal all --collapse-root-models "
            "--use-annotated --strict-nullable --formatters builtin"
        ).split()
        program = [sys.executable, "-m", "datamodel_code_generator", *arguments]
        subprocess.run([*program, "--input", source, "--output", target], check=True)
        text = target.read_text("utf-8")
    body = text[text.index("from __future__") :]
    listed = "".join(f"        {code!r},\n" for code in codes).replace("'", '"')
    known = f"known_codes = frozenset(\n    {{\n{listed}    }}\n)\n"
    return f"{HEADER}\n{body}\n\n#: The codes that this version knows.\n{known}"


def main():
    text = generated()
    if "--check" not in sys.argv:
        MODELS.write_text(text, "utf-8")
    elif MODELS.read_text("utf-8") != text:
        sys.exit(f"{MODELS} differs from the contract: run `npm run openapi`")


if __name__ == "__main__":
    main()
