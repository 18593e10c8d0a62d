"""What programs may ask of the server, as OpenAPI 3.1: made from the same lists as the addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import dfd_train
from dfd_train.predict.inputs import READ
from dfd_train.predict.schema import result_schema
from dfd_train.serve.jobs import NUMBER, State

_ENDINGS = "|".join(sorted(suffix.removeprefix(".") for suffix in READ))
NAME = rf"^[A-Za-z0-9][^/\\\x00]*\.({_ENDINGS})$"
"""of a file that is taken whatever it holds; under other names, and without one, its first bytes decide"""


def openapi(detectors: Sequence[str], report: Mapping[str, str]) -> dict[str, Any]:
    """Returns the document. detectors: names to choose from, the default first. report: media types of a
    report's files.
    """
    result = result_schema()
    schemas = {name: _moved(part) for name, part in result.pop("$defs").items()}
    refused = {"description": "refused, in words", "content": _json({"$ref": "#/components/schemas/Refusal"})}
    upload = {"description": "how far the file is", "content": _json({"$ref": "#/components/schemas/Upload"})}
    number = _parameter("number", "path", {"type": "string", "pattern": f"^{NUMBER}$"})
    # also said of every address: a host name, origin or token that is not the server's
    common = {str(status): refused for status in (400, 401, 403, 405)}
    missing = {**common, "404": refused}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dfd-train serve",
            "version": dfd_train.__version__,
            "description": "Upload a video or picture, ask how far it is, fetch its report.",
        },
        "security": [{}, {"token": []}],
        "paths": {
            "/health": {
                "get": {
                    "operationId": "health",
                    "summary": "Whether the server and its worker are at work; needs no token.",
                    "security": [{}],
                    "responses": {
                        "200": {
                            "description": "they are",
                            "content": _json({"$ref": "#/components/schemas/Health"}),
                        },
                        "503": {"description": "the worker has ended", "content": _json({"type": "object"})},
                        **common,
                    },
                }
            },
            "/about": {
                "get": {
                    "operationId": "about",
                    "summary": "The models, the largest upload, the kinds of files.",
                    "responses": {
                        "200": {
                            "description": "what to know",
                            "content": _json({"$ref": "#/components/schemas/About"}),
                        },
                        **common,
                    },
                }
            },
            "/uploads": {
                "post": {
                    "operationId": "upload",
                    "summary": "Send a file, which gets a place in the queue.",
                    "parameters": [
                        _parameter("name", "query", {"type": "string", "maxLength": 1000, "pattern": NAME}),
                        _parameter(
                            "detector", "query", {"type": "string", "enum": list(detectors)}, required=False
                        ),
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/octet-stream": {
                                "schema": {"type": "string", "format": "binary", "minLength": 1}
                            }
                        },
                    },
                    "responses": {
                        "201": upload,
                        **common,
                        **{str(status): refused for status in (408, 411, 413, 415, 422, 503, 507)},
                    },
                }
            },
            "/uploads/{number}": {
                "get": {
                    "operationId": "state",
                    "summary": "How far a file is.",
                    "parameters": [number],
                    "responses": {"200": upload, **missing},
                },
                "delete": {
                    "operationId": "remove",
                    "summary": "Cancel it, or forget it if it is done.",
                    "parameters": [number],
                    "responses": {"200": upload, **missing},
                },
            },
            "/reports/{number}/{name}": {
                "get": {
                    "operationId": "report",
                    "summary": "A file of its report, or a range of it.",
                    "parameters": [
                        number,
                        _parameter("name", "path", {"type": "string", "enum": list(report)}),
                    ],
                    "responses": {
                        "200": {
                            "description": "the file; result.json has the schema Result",
                            "content": {
                                kind.partition(";")[0]: {
                                    "schema": {"$ref": "#/components/schemas/Result"}
                                    if name == "result.json"
                                    else {"type": "string"}
                                }
                                for name, kind in report.items()
                            },
                        },
                        "206": {"description": "the range of it"},
                        "416": {"description": "it has no such range"},
                        **missing,
                    },
                }
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Refusal": _object({"error": {"type": "string"}}),
                "Health": _object(
                    {
                        "status": {"const": "ok"},
                        "version": {"type": "string"},
                        "waiting": {"type": "integer", "minimum": 0},
                    }
                ),
                "About": _object(
                    {
                        "limit": {"type": "integer"},
                        "kinds": {"type": "array", "items": {"type": "string"}},
                        "detectors": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                        "model": {"type": "string"},
                        "notes": {"type": "object", "additionalProperties": {"type": "string"}},
                        "kept": {"type": "boolean"},
                    }
                ),
                "Upload": _object(
                    {
                        "id": {"type": "string", "pattern": f"^{NUMBER}$"},
                        "name": {"type": "string"},
                        "detector": {"type": "string"},
                        "state": {"type": "string", "enum": list(get_args(State))},
                        "share": {"type": "number", "minimum": 0, "maximum": 1},
                        "seconds_left": {"type": ["number", "null"]},
                        "before": {"type": "integer", "minimum": 0},
                        "tone": {"type": "string"},
                        "headline": {"type": "string"},
                        "sentence": {"type": "string"},
                        "report": {"type": "string"},
                    }
                ),
                **schemas,
            },
        },
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _parameter(name: str, place: str, schema: dict[str, Any], required: bool = True) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _moved(part: Any) -> Any:
    """Returns a part of a schema whose references lead into the document's components."""
    if isinstance(part, dict):
        return {key: _moved(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_moved(value) for value in part]
    return part.replace("#/$defs/", "#/components/schemas/") if isinstance(part, str) else part
