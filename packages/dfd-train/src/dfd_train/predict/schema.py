"""The JSON schema of result.json, for programs in any language: made from `Result`, shipped as `result.schema.json`."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec

from dfd_train.predict.result import FORMAT_VERSION, Result
from ffpp_prep.format.checksums import KEY

SCHEMA = "result.schema.json"


def result_schema() -> dict[str, Any]:
    """Returns the schema as the present `Result` has it, JSON Schema 2020-12."""
    schema = msgspec.json.schema(Result)
    definitions = schema["$defs"]
    definitions["Result"]["properties"][KEY] = {
        "type": "string",
        "description": "CRC-32 of all else, see docs/format.md",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"result.json of dfd-train predict, version {FORMAT_VERSION}",
        **schema,
    }


def schema_text() -> str:
    """Returns `result_schema` as it stands in the shipped file."""
    return msgspec.json.format(msgspec.json.encode(result_schema()), indent=2).decode() + "\n"


def shipped_schema() -> str:
    """Returns the file in this package."""
    return (files("dfd_train.predict") / SCHEMA).read_text(encoding="utf-8")
