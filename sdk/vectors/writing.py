"""How the file of the vectors is read and written: one header a line, so that a difference can be read."""

import json
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[2] / "docs/webhooks/vectors.json"


def read(path):
    """What the file holds, or None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def written(value, indent=0):
    """The text of the file. Lists and objects without another inside stand on one line."""
    return _text(value, 0) + "\n"


def _text(value, depth):
    space, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict) and any(isinstance(member, (dict, list)) for member in value.values()):
        lines = [f"{space}{json.dumps(name)}: {_text(member, depth + 1)}" for name, member in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{end}}}"
    if isinstance(value, list) and any(isinstance(member, (dict, list)) for member in value):
        return "[\n" + ",\n".join(space + _text(member, depth + 1) for member in value) + f"\n{end}]"
    return json.dumps(value, ensure_ascii=True)
