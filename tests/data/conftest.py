"""A small contract with one of everything, and an in-memory store."""

import pytest

from leverframe.core.digest import Digest, digest_bytes
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Contract
from leverframe.governance.pseudonyms import Pseudonyms

collect_ignore = ["suites"]  # files of other tools, which are not installed here

TRIPS = """
apiVersion: v3.1.0
kind: DataContract
id: trips
name: trips
version: 1.0.0
status: active
description: { purpose: taxi trips }
team:
  name: rides
  members: [{ username: ana, role: owner }]
schema:
  - name: trips
    logicalType: object
    properties:
      - { name: id, logicalType: string, required: true, primaryKey: true }
      - name: kind
        logicalType: string
        required: true
        enum: [{ value: short }, { value: long }]
      - name: miles
        logicalType: number
        logicalTypeOptions: { minimum: 0, maximum: 100 }
        customProperties: [{ property: severity, value: quarantine }]
      - name: seats
        logicalType: integer
        logicalTypeOptions: { exclusiveMinimum: 0, exclusiveMaximum: 10 }
      - name: rider
        logicalType: string
        classification: restricted
        tags: [pii]
        logicalTypeOptions: { pattern: "^[a-z]+$", maxLength: 12 }
      - { name: ended_at, logicalType: timestamp, physicalType: int64, required: true }
    quality:
      - { type: library, metric: rowCount, mustBeGreaterThan: 0, mustBeLessThan: 1000 }
      - name: long_trips_are_long
        type: sql
        query: SELECT COUNT(*) FROM ${object} WHERE kind = 'long' AND miles < 5
        mustBe: 0
slaProperties:
  - { property: freshness, value: 2, unit: h, element: trips.ended_at }
"""


class MemoryBlobs:
    """Bytes by digest."""

    def __init__(self) -> None:
        self.held: dict[Digest, bytes] = {}

    def put(self, data: bytes) -> Digest:
        digest = digest_bytes(data)
        self.held[digest] = data
        return digest

    def get(self, digest: Digest) -> bytes:
        return self.held[digest]


@pytest.fixture
def trips_text() -> str:
    return TRIPS


@pytest.fixture(scope="session")
def trips() -> Contract:
    return read_contract(TRIPS.encode())


@pytest.fixture(scope="session")
def plain_trips() -> Contract:
    """The same without a personal column."""
    return read_contract(
        TRIPS.replace("classification: restricted", "classification: internal").replace("tags: [pii]", "tags: []").encode()
    )


@pytest.fixture(scope="session")
def pseudonyms() -> Pseudonyms:
    return Pseudonyms(b"k" * 32)


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()
