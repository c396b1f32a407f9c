"""The JSON Schema of the configuration files, for editors."""

from __future__ import annotations

from typing import Any

SCHEMA_ID = "https://aisys.dev/schema/fleet.schema.json"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of every file of a configuration folder.

    Files are layers, so nothing is required in any one of them, and null (which removes what a
    lower layer set) is allowed everywhere. What must be there in the end `load_fleet` checks.
    """
    from aisys.config.settings import ConfigFile

    schema = ConfigFile.model_json_schema()
    for section in (schema, *schema.get("$defs", {}).values()):
        if section.get("title") != "SharedPlace":
            section.pop("required", None)
            section["properties"] = {
                key: _or_null(value) for key, value in section.get("properties", {}).items()
            }
    for section in ("machines", "agents"):
        entries = schema["properties"][section]["anyOf"][0]["patternProperties"]
        entries.update({pattern: _or_null(value) for pattern, value in entries.items()})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **schema,
        "title": "aisys configuration file",
        "description": "Any file of a configuration folder. See docs/configuration.md.",
    }


def _or_null(value: dict[str, Any]) -> dict[str, Any]:
    if any(option == {"type": "null"} for option in value.get("anyOf", ())):
        return value
    outer: dict[str, Any] = {
        key: value[key] for key in ("title", "description", "default") if key in value
    }
    inner = {key: item for key, item in value.items() if key not in outer}
    return {**outer, "anyOf": [inner, {"type": "null"}]}
