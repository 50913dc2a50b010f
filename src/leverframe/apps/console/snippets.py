"""Programs that ask one model, ready to copy: curl, plain HTTP, our client and NVIDIA's, each with the model's example row."""

import json
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

import msgspec

from leverframe.apps.web.ask import example_of, tensors
from leverframe.core.schema import RequestField


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    """One program: what it is called, and its text."""

    title: str
    text: str


def snippets(gateway: str, endpoint: str, fields: Sequence[RequestField]) -> tuple[Snippet, ...]:
    """Programs that ask ``endpoint`` of the gateway at ``gateway``; each takes the token from ``LEVER_TOKEN``."""
    row = {field.name: example_of(field) for field in fields}
    path = f"/v2/models/{quote(endpoint, safe='')}/infer"
    body = json.dumps({"inputs": tensors(fields, row)})
    return (
        Snippet(title="curl", text=_curl(gateway + path, body)),
        Snippet(title="Python: leverframe", text=_client(gateway, endpoint, fields)),
        Snippet(title="Python: tritonclient", text=_triton(gateway, endpoint, fields)),
        Snippet(title="Plain HTTP", text=_http(gateway, path, body)),
    )


def _curl(address: str, body: str) -> str:
    quoted = body.replace("'", "'\\''")
    return (
        f"curl -s {address} \\\n  -H \"Authorization: Bearer $LEVER_TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  -d '{quoted}'"
    )


def _http(gateway: str, path: str, body: str) -> str:
    head = (
        f"POST {path} HTTP/1.1",
        f"Host: {urlsplit(gateway).netloc}",
        "Authorization: Bearer <token>",
        "Content-Type: application/json",
        f"Content-Length: {len(body.encode())}",
    )
    return "\n".join((*head, "", body))


def _client(gateway: str, endpoint: str, fields: Sequence[RequestField]) -> str:
    rows = "\n".join(f"        {field.name!r}: [{example_of(field)!r}]," for field in fields)
    return f"""import os
import leverframe as lf

token = os.environ["LEVER_TOKEN"]
with lf.Client({gateway!r}, token, gateway_url={gateway!r}) as client:
    answer = client.predict({endpoint!r}, {{
{rows}
    }})
print(answer.outputs, answer.version, answer.parameters)"""


def _triton(gateway: str, endpoint: str, fields: Sequence[RequestField]) -> str:
    rows = "\n".join(f"    {field.name!r}: ({field.datatype!r}, {_array(field)})," for field in fields)
    return f"""import os
import numpy as np
import tritonclient.http as triton

row = {{
{rows}
}}
inputs = []
for name, (datatype, array) in row.items():
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    inputs.append(tensor)
headers = {{"Authorization": "Bearer " + os.environ["LEVER_TOKEN"]}}
result = triton.InferenceServerClient({urlsplit(gateway).netloc!r}).infer({endpoint!r}, inputs, headers=headers)
print(result.get_response())"""


_DTYPES = {"BOOL": "bool", "BYTES": "object", "FP16": "np.float16", "FP32": "np.float32", "FP64": "np.float64"}


def _array(field: RequestField) -> str:
    return f"np.array([{example_of(field)!r}], dtype={_DTYPES.get(field.datatype, 'np.' + field.datatype.lower())})"
