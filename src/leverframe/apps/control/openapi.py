"""The API described in OpenAPI 3.1, from the same table that serves it."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from leverframe.apps.control.route import Route
from leverframe.apps.control.status_codes import STATUS_OF_CODE

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error", "code", "where", "expected", "got", "next", "faults", "request_id"],
    "properties": {
        "error": {"type": "string", "description": "the whole fault as one sentence"},
        "code": {"type": "string", "enum": sorted(STATUS_OF_CODE)},
        "where": {"type": "string"},
        "expected": {"type": "string"},
        "got": {"type": "string"},
        "next": {"type": "string", "description": "the next command to type"},
        "faults": {"type": "array", "items": {"type": "object"}},
        "request_id": {"type": "string"},
    },
}


def describe(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The OpenAPI document of ``routes``."""
    routes = tuple(routes)
    types = [t for route in routes for t in (route.takes, route.gives) if t is not None and t is not bytes]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip([repr(t) for t in types], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Leverframe control API", "version": version, "description": "Every route needs the permission it names."},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": ERROR_SCHEMA},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _bytes_schema(media_type: str) -> dict[str, Any]:
    """Of a body made elsewhere: a signed document is JSON whatever it says, anything else is bytes."""
    return {"type": "object"} if media_type.endswith("+json") else {"type": "string", "format": "binary"}


def _operation(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    gives = _bytes_schema(route.media_type) if route.gives is bytes else schema_of[repr(route.gives)]
    failure = {
        "description": "any fault, in one shape",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": re.sub(r"\W+", "_", f"{route.method} {route.path.removeprefix('/api/v1')}").strip("_").lower(),
        "tags": [route.permission.partition(".")[0]],
        "x-permission": route.permission,
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": {"200": {"description": "done", "content": {route.media_type: {"schema": gives}}}, "default": failure},
    }
    if route.takes is bytes:
        operation["requestBody"] = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    elif route.takes is not None:
        body = {"schema": schema_of[repr(route.takes)]} | ({"example": route.example} if route.example is not None else {})
        operation["requestBody"] = {"required": bool(route.example), "content": {"application/json": body}}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(route.query)
    fields = schema["$defs"][route.query.__name__]["properties"] if "$ref" in schema else schema["properties"]
    return [{"name": name, "in": "query", "required": False, "schema": field} for name, field in fields.items()]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    if not route.writes:
        return []
    text = "the same key and body again gives the first answer again; made by the server when missing, and returned"
    return [{"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}, "description": text}]
