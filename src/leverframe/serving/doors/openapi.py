"""The gateway's REST surface as an OpenAPI 3.1 document, with the endpoints that are routed now and a correct request for each.

Source: OpenAPI Specification 3.1; Open Inference Protocol v2 (KServe), REST.
"""

from collections.abc import Iterable
from typing import Any, get_args

from leverframe.core.schema import DataType
from leverframe.serving.doors.invocations import invocation_example
from leverframe.serving.protocol.inputs import ROWS_MAX
from leverframe.serving.protocol.message import REASONS
from leverframe.serving.routes.routing import CompiledEndpoint

_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": ROWS_MAX}, "maxItems": 2},
        "datatype": {"enum": list(get_args(DataType))},
        "data": {"type": "array", "description": "row by row, flat or nested; left out when the tensor's bytes follow the JSON part"},
        "parameters": {"type": "object"},
    },
}
_SCHEMAS: dict[str, Any] = {
    "Tensor": _TENSOR,
    "InferRequest": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "maxLength": 200},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
                },
            },
        },
    },
    "InferResponse": {
        "type": "object",
        "required": ["model_name", "model_version", "id", "outputs"],
        "properties": {"outputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}}},
    },
    "Invocation": {
        "type": "object",
        "description": "exactly one of these, and params beside it if wanted",
        "properties": {
            "dataframe_split": {"type": "object"},
            "dataframe_records": {"type": "array"},
            "instances": {"type": "array"},
            "inputs": {},
            "params": {"type": "object"},
        },
    },
    "Predictions": {
        "type": "object",
        "required": ["predictions", "prediction_id", "model_version"],
        "properties": {"predictions": {"type": "array"}, "prediction_id": {"type": "string"}, "model_version": {"type": "string"}},
    },
    "Labels": {"type": "object"},
    "Object": {"type": "object"},
    "Index": {"type": "array", "items": {"type": "object", "required": ["name", "version", "state", "reason"]}},
    "Refusal": {
        "type": "object",
        "required": ["error", "code"],
        "properties": {"error": {"type": "string"}, "code": {"type": "string"}, "example": {}},
    },
}
_REFUSALS = (400, 401, 403, 404, 405, 413, 415, 422, 429, 503, 504)


def document(version: str, endpoints: Iterable[CompiledEndpoint]) -> dict[str, object]:
    """The OpenAPI document for a caller of ``endpoints``.

    Parameters
    ----------
    version: of the server.
    """
    paths: dict[str, object] = {
        "/v2": {"get": _operation("server metadata", "Object")},
        "/v2/health/live": {"get": _operation("whether the process lives", "Object")},
        "/v2/health/ready": {"get": _operation("whether it answers requests", "Object")},
        "/v2/models/stats": {"get": _operation("counts of every model", "Object")},
        "/v2/repository/index": {"post": _operation("what is loaded, and what could not be", "Index", "Object")},
        "/invocations": {"post": _operation("an invocation, for callers of exactly one endpoint", "Predictions", "Invocation")},
    }
    for endpoint in endpoints:
        paths |= _model(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Leverframe gateway", "version": version},
        "paths": paths,
        "components": {"schemas": _SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _model(endpoint: CompiledEndpoint) -> dict[str, object]:
    """The paths of one endpoint, and of each version that may be named."""
    name, model = endpoint.record.name, endpoint.live.model
    infer, invocation = model.example, invocation_example(model.signature)
    paths: dict[str, object] = {
        f"/v2/models/{name}/feedback": {"post": _operation("labels for predictions", "Object", "Labels")},
        f"/v2/repository/models/{name}/load": {"post": _operation("succeeds when the model answers already", "Object", "Object")},
        f"/v2/repository/models/{name}/unload": {"post": _operation("always refused: a release decides what answers", "Object", "Object")},
    }
    versions = [arm.version.rpartition("@")[2] for arm in endpoint.arms if arm.arm.role != "shadow"]
    for base in (f"/v2/models/{name}", *(f"/v2/models/{name}/versions/{version}" for version in versions)):
        paths |= {
            base: {"get": _operation("what to send and what comes back", "Object")},
            f"{base}/ready": {"get": _operation("whether it answers", "Object")},
            f"{base}/stats": {"get": _operation("counts", "Object")},
            f"{base}/infer": {"post": _operation("predictions", "InferResponse", "InferRequest", infer)},
            f"{base}/invocations": {"post": _operation("predictions, in MLflow's form", "Predictions", "Invocation", invocation)},
        }
    return paths


def _operation(summary: str, answer: str, body: str = "", example: object = None) -> dict[str, object]:
    responses: dict[str, object] = {"200": {"description": "answered", "content": _json(answer)}}
    responses |= {str(status): {"description": REASONS[status].decode(), "content": _json("Refusal")} for status in _REFUSALS}
    operation: dict[str, object] = {"summary": summary, "responses": responses}
    if body:
        content = _json(body) if example is None else {"application/json": {**_json(body)["application/json"], "example": example}}
        operation["requestBody"] = {"required": body != "Object", "content": content}
    return operation


def _json(schema: str) -> dict[str, dict[str, object]]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
