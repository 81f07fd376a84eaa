"""The pages a person sees: what is running, and the reference of the interface. No scripts, nothing from outside."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from serving.http.problems import KINDS


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("serving", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def landing(model: dict[str, Any]) -> str:
    """Return the first page: versions, links, the policy's rules."""
    return _templates().get_template("landing.html").render(model=model)


def reference(document: dict[str, Any]) -> str:
    """Return the reference page of an OpenAPI document."""
    schemas = document["components"]["schemas"]
    operations = [
        {
            "description": "",
            "parameters": [],
            "requestBody": None,
            **operation,
            "method": method.upper(),
            "path": path,
        }
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        _templates()
        .get_template("reference.html")
        .render(
            document=document,
            operations=operations,
            schemas=[(n, schemas[n].get("description", ""), _rows(schemas[n])) for n in sorted(schemas)],
            kinds=KINDS,
            pretty=_pretty,
            named=_named,
        )
    )


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _rows(schema: dict[str, Any]) -> list[tuple[str, str, bool, str]]:
    """Return the properties of a schema: name, type in words, whether required, description."""
    required = schema.get("required", [])
    return [
        (name, _named(part), name in required, part.get("description", ""))
        for name, part in schema.get("properties", {}).items()
    ]


def _named(schema: dict[str, Any]) -> str:
    """Say a schema's type in words."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    for joined in ("anyOf", "oneOf"):
        if joined in schema:
            return " | ".join(dict.fromkeys(_named(part) for part in schema[joined]))
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_named(schema.get('items', {}))}{_bounds(schema)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_named(schema['additionalProperties'])}"
    return kind + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    words = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minItems": "at least {}",
        "maxItems": "at most {}",
        "pattern": "matching {}",
    }
    found = [text.format(schema[key]) for key, text in words.items() if key in schema]
    return f" ({', '.join(found)})" if found else ""
