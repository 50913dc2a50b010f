"""A gateway without a socket: metadata, page, counters and a constant answer, in front of the in-process control API."""

import json
from typing import Any

import httpx
from tests.apps import fake_records as records
from tests.apps.in_process import ADDRESS, transport_to

from leverframe.apps.client import Client

ROLES = (("flight-delay@v2", "live"), ("flight-delay@v3", "canary"))


class FakeGateway(httpx.BaseTransport):
    """Answers what a gateway answers and hands everything else to the control API; ``asked`` are the requests' inputs by name."""

    def __init__(self, platform: Any) -> None:
        self._control = transport_to(platform)
        self.asked: list[dict[str, Any]] = []
        self.looks = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/v2/models/flight-delay":
            inputs = [{"name": f.name, "datatype": f.datatype, "shape": [-1]} for f in records.SPEC.request]
            return httpx.Response(200, json={"name": "flight-delay", "inputs": inputs})
        if path == "/v2/models/flight-delay/infer":
            return httpx.Response(200, json=self._answer(json.loads(request.read())))
        if path == "/":
            self.looks += 1
            return httpx.Response(200, json=self._page())
        if path == "/metrics":
            return httpx.Response(200, text=self._metrics())
        return self._control.handle_request(request)

    def _answer(self, document: dict[str, Any]) -> dict[str, Any]:
        self.asked.append({tensor["name"]: (tensor["datatype"], tensor["data"][0]) for tensor in document["inputs"]})
        return {
            "model_name": "flight-delay",
            "model_version": "flight-delay@v2",
            "id": f"p-{len(self.asked)}",
            "parameters": {"arm": "live", "generation": 41, "missing": 1, "missing_features": "origin_weather_visib"},
            "outputs": [{"name": "probability", "datatype": "FP64", "shape": [1], "data": [0.25]}],
        }

    def _page(self) -> dict[str, Any]:
        served = 110 * self.looks
        return {
            "generation": 41,
            "uptime_s": 10.0 * self.looks,
            "table": {"problem": ""},
            "log": {"served": served, "logged": served - 1, "dropped": 1, "adds_up": True, "problem": ""},
            "refusals": {"invalid_input": 3},
        }

    def _metrics(self) -> str:
        lines = ["# TYPE lever_answers_total counter"]
        for (version, role), each in zip(ROLES, (100, 10), strict=True):
            labels = f'endpoint="flight-delay",version="{version}",role="{role}"'
            total = each * self.looks
            lines += [f'lever_answers_total{{{labels},status="{s}"}} {n}' for s, n in (("ok", total - self.looks), ("error", self.looks))]
            lines += [
                f'lever_latency_seconds_bucket{{{labels},le="{le}"}} {n}' for le, n in (("0.001", 0), ("0.002", total), ("+Inf", total))
            ]
        return "\n".join(lines) + "\n"


def client_with_gateway(gateway: FakeGateway, token: str = "admin-token") -> Client:
    return Client(ADDRESS, token, gateway_url=ADDRESS, http=gateway, sleep=lambda seconds: None)
