"""Programs that ask one model, ready to copy, each with the model's example row; each prints its answer and can be run as it stands.

curl, our client, NVIDIA's over HTTP and gRPC, ``lever predict``, MLflow's ``/invocations`` and plain HTTP.
"""

import json
import shlex
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from leverframe.apps.web.ask import example_of, tensors
from leverframe.core.schema import RequestField


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    """One program: what it is called, its text, what it is written in, and what it needs beside Python or a shell."""

    title: str
    text: str
    language: str = "sh"
    needs: str = ""


def snippets(gateway: str, endpoint: str, fields: Sequence[RequestField], *, grpc: str = "") -> tuple[Snippet, ...]:
    """Programs that ask ``endpoint``; each takes the token from ``LEVER_TOKEN``.

    Parameters
    ----------
    gateway: address of its HTTP door.    grpc: ``host:port`` of its gRPC door; empty: it has none, and the program says how to open one.
    """
    row = {field.name: _example(field) for field in fields}
    path = f"/v2/models/{quote(endpoint, safe='')}/infer"
    body = json.dumps({"inputs": tensors(fields, row)})
    table = json.dumps({"dataframe_split": {"columns": list(row), "data": [list(row.values())]}})
    host = urlsplit(gateway).netloc
    return (
        Snippet(title="curl", text=_curl(gateway + path, body)),
        Snippet(title="Python: leverframe", text=_client(gateway, endpoint, fields), language="python"),
        Snippet(
            title="Python: tritonclient",
            text=_triton("http", host, endpoint, fields),
            language="python",
            needs="pip install 'tritonclient[http]'",
        ),
        Snippet(
            title="Python: tritonclient over gRPC",
            text=_triton("grpc", grpc or f"{urlsplit(gateway).hostname}:8402", endpoint, fields),
            language="python",
            needs="pip install 'tritonclient[grpc]'"
            + ("" if grpc else "; this gateway has no gRPC door: start it with LEVER_GATEWAY_GRPC_PORT=8402"),
        ),
        Snippet(
            title="lever predict",
            text=f"LEVER_GATEWAY_URL={gateway} lever predict {shlex.quote(endpoint)} --json \\\n  --body {shlex.quote(json.dumps(row))}",
        ),
        Snippet(title="MLflow /invocations", text=_curl(f"{gateway}/v2/models/{quote(endpoint, safe='')}/invocations", table)),
        Snippet(title="Plain HTTP", text=_http(host, path, body), language="http"),
    )


def _example(field: RequestField) -> Any:
    """The field's example; of a vector, the example in every place."""
    return example_of(field) if field.width == 1 else [example_of(field)] * field.width


def _curl(address: str, body: str) -> str:
    quoted = body.replace("'", "'\\''")
    return (
        f"curl -s {address} \\\n  -H \"Authorization: Bearer $LEVER_TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  -d '{quoted}'"
    )


def _http(host: str, path: str, body: str) -> str:
    head = (
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Authorization: Bearer <token>",
        "Content-Type: application/json",
        f"Content-Length: {len(body.encode())}",
    )
    return "\n".join((*head, "", body))


def _client(gateway: str, endpoint: str, fields: Sequence[RequestField]) -> str:
    rows = "\n".join(f"        {field.name!r}: [{_example(field)!r}]," for field in fields)
    types = ", ".join(f"{field.name!r}: {field.datatype!r}" for field in fields)
    return f"""import os
import leverframe as lf

token = os.environ["LEVER_TOKEN"]
with lf.Client({gateway!r}, token, gateway_url={gateway!r}) as client:
    answer = client.predict({endpoint!r}, {{
{rows}
    }}, datatypes={{{types}}})
print(answer.outputs, answer.version, answer.parameters)"""


def _triton(protocol: str, host: str, endpoint: str, fields: Sequence[RequestField]) -> str:
    rows = "\n".join(f"    {field.name!r}: ({field.datatype!r}, {_array(field)})," for field in fields)
    # gRPC metadata keys are lower case (gRPC over HTTP/2, "Custom-Metadata").
    header, outputs, name = ("Authorization", '["outputs"]', '["name"]') if protocol == "http" else ("authorization", ".outputs", ".name")
    return f"""import os
import numpy as np
import tritonclient.{protocol} as triton

row = {{
{rows}
}}
inputs = []
for name, (datatype, array) in row.items():
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    inputs.append(tensor)
headers = {{"{header}": "Bearer " + os.environ["LEVER_TOKEN"]}}
result = triton.InferenceServerClient({host!r}).infer({endpoint!r}, inputs, headers=headers)
for output in result.get_response(){outputs}:
    name = output{name}
    print(name, result.as_numpy(name).tolist())"""


_DTYPES = {"BOOL": "bool", "BYTES": "object", "FP16": "np.float16", "FP32": "np.float32", "FP64": "np.float64"}


def _array(field: RequestField) -> str:
    return f"np.array([{_example(field)!r}], dtype={_DTYPES.get(field.datatype, 'np.' + field.datatype.lower())})"
