"""The page `docs/settings.md`."""

from infra.settings.loading import shown, variable
from infra.settings.model import Settings


def settings_table() -> str:
    """The page `docs/settings.md`: every setting, its default, its bounds and what it is."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable, or a line of a `.env` file in the working directory",
        "(the environment wins). They are checked at start: all problems are reported at once, and a",
        "`PENSTOCK_*` variable that is no setting is warned about. Values of secrets (marked *secret*)",
        "are never printed. This page is generated: `uv run python -m infra.settings > docs/settings.md`.",
        "",
        "| variable | default | values | what it is |",
        "| --- | --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, []) else f"`{shown(field.default)}`"
        lines.append(f"| `{variable(name)}` | {default} | {_values(name)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _values(name: str) -> str:
    schema = Settings.model_json_schema()["properties"][name]
    given = next(choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null")
    if "password" in (given.get("format"), given.get("items", {}).get("format")):
        return "*secret*"
    if "enum" in given:
        return ", ".join(f"`{value}`" for value in given["enum"])
    if "minimum" in given:
        return f"{given['minimum']:,} to {given['maximum']:,}"
    return {"boolean": "`true`, `false`", "array": "list", "string": "text"}[given["type"]]
