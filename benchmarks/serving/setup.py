"""What is served and what is asked: the model's files, an installation of ours that serves them, and the rows everybody gets."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
from benchmarks import classifier
from benchmarks.classifier import COLUMNS
from benchmarks.serving import customer, flight

from leverframe.core.digest import canonical_json
from leverframe.core.route import Arm, Caller, Endpoint, RouteTable
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import write_bundle
from leverframe.governance.publication import Publication
from leverframe.governance.signing import load_or_create

ROWS = 2000
TOKEN = "benchmark-token"
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """``home``: ours with all endpoints and, for everybody else, the model's files. ``alone``: ours with one model and nothing else.

    ``rows``: float64 [requests, rows a request, columns] by rows a request; ``expected``: the model's scores of each first request.
    """

    home: Path
    alone: Path
    rows: Mapping[int, Matrix]
    expected: Mapping[int, list[float]]


def set_up(folder: Path) -> Scene:
    """Train, sign and publish under ``folder``."""
    booster = classifier.train(threads=1)
    home, alone = folder / "all", folder / "alone"
    files = write_model(home, booster)
    flight.fill_store(home)
    customer.fill_store(home)
    install(home, {"m": ("f0", files), flight.NAME: ("tailnum", flight.files_of(files)), customer.NAME: ("", customer.files_of(files))})
    install(alone, {"m": ("f0", files)})
    rng = np.random.default_rng(11)
    rows = {each: rng.normal(size=(ROWS, each, COLUMNS)) for each in (1, 32)}
    expected: Any = {each: booster.predict(asked[0]).tolist() for each, asked in rows.items()}
    return Scene(home, alone, rows, expected)


def write_model(home: Path, booster: lightgbm.Booster) -> Mapping[str, bytes]:
    """A bundle's files, also in the folder ``home`` for those who want a path."""
    files = classifier.bundle_files(booster)
    home.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (home / name).write_bytes(data)
    return files


def install(home: Path, models: Mapping[str, tuple[str, Mapping[str, bytes]]]) -> None:
    """Sign and publish what a gateway under ``home`` serves; each model (hash field, files) with two sticky arms, half each."""
    key, artifacts = load_or_create(home / "keys"), ArtifactStore(str(home / "artifacts"))
    endpoints = []
    for name, (field, content) in models.items():
        bundle, envelope = write_bundle(artifacts, key, model=name, files=content, created_at_us=1)
        arms = tuple(
            Arm(version=f"{name}@v{number}", bundle=bundle, envelope=envelope, role=role, weight=50.0)
            for number, role in ((1, "live"), (2, "canary"))
        )
        endpoints.append(Endpoint(name=name, arms=arms, hash_field=field, salt="s"))
    routes = RouteTable(
        environment="prod",
        generation=1,
        issued_at_us=1,
        endpoints=tuple(endpoints),
        callers=(Caller(token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest(), subject="service:benchmark"),),
    )
    signed = key.sign("application/vnd.leverframe.routes+json", canonical_json(routes))
    Publication(str(home / "published")).publish("routes-prod", signed)


def http(target: str, body: bytes) -> bytes:
    """A whole request, the same head for every server."""
    head = (
        f"POST {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
