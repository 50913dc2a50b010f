"""Gateways with several workers for tests: what they say, and requests on as many connections as wanted."""

import http.client
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.serving.installation import TOKEN, Gateway, Installation, gateway, infer_body, table

from leverframe.core.route import Endpoint


def installed(home: Path) -> Installation:
    """A home whose only endpoint is called ``m``."""
    installation = Installation(home)
    installation.publish(table(Endpoint(name="m", arms=(installation.arm("m@v1", 1),))))
    return installation


@contextmanager
def fleet(home: Path, *arguments: str, workers: int = 2) -> Iterator[Gateway]:
    """A gateway of several workers on :func:`installed`'s routes."""
    installed(home)
    with gateway(home, "--workers", str(workers), *arguments) as running:
        yield running


def worker(running: Gateway, number: int) -> Any:
    """What the health page says of one worker."""
    return running.page()["workers"][number]


def ask(connection: http.client.HTTPConnection) -> int:
    """One request's status."""
    connection.request("POST", "/v2/models/m/infer", json.dumps(infer_body([0.1] * 4)), {"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def connections(running: Gateway, number: int) -> list[http.client.HTTPConnection]:
    """Connections that were opened one right after the other, before any of them asked."""
    opened = [http.client.HTTPConnection("127.0.0.1", running.port, timeout=10) for _ in range(number)]
    for connection in opened:
        connection.connect()
    return opened


def samples(running: Gateway) -> dict[str, float]:
    """Every sample of the gateway's metrics, by name and labels."""
    request = urllib.request.Request(running.url + "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}
