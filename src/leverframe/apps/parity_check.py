"""Parity as a scheduled job: a sample of what was served, taken from the prediction log, against the offline values of those moments."""

import random
import threading
import time
from collections.abc import Iterable

import msgspec
import numpy as np
import polars as pl

from leverframe.apps.platform.bound_views import held_definitions
from leverframe.apps.platform.datasets import contract_of, latest_rows, latest_snapshot
from leverframe.apps.platform.feature_details import personal_features
from leverframe.apps.platform.parts import Parts
from leverframe.core.actor import PLATFORM
from leverframe.core.alert import Signal
from leverframe.core.clock import DAY_US
from leverframe.core.digest import digest_record
from leverframe.core.feature import FeatureView
from leverframe.core.model import SIGNATURE, ModelVersion, version_id_of
from leverframe.core.prediction import LogRecord, PredictionRecord
from leverframe.core.schema import Signature, ViewBinding
from leverframe.features.declared.definitions import ARRIVAL, EVENT, view_version
from leverframe.features.parity_verdicts import CELLS_MIN, KIND_PARITY, WRONG_SHARE_MAX, ParityRecord, RecordParity, judge
from leverframe.features.timelines.timeline import timeline
from leverframe.governance.bundles import open_bundle
from leverframe.training.commands import KIND_MODEL_VERSION

SAMPLE_MAX = 2_000
"""Answers kept of each version at each endpoint: a uniform sample of those since the last comparison."""
SAMPLED_MAX = 64
"""Versions at endpoints that are sampled at once; answers of others are left out."""


class ParitySample:
    """A reservoir of answers for each (endpoint, version). Source: Vitter, 1985, "Random sampling with a reservoir", algorithm R."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._held: dict[tuple[str, str], list[PredictionRecord]] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def take(self, records: Iterable[LogRecord]) -> None:
        """Offer new records of the log; only whole answers about one entity can be compared."""
        with self._lock:
            for record in records:
                if not isinstance(record, PredictionRecord) or record.status != "ok" or record.disabled or not record.entities:
                    continue
                name = (record.endpoint, record.version)
                if name not in self._held and len(self._held) >= SAMPLED_MAX:
                    continue
                held = self._held.setdefault(name, [])
                self._seen[name] = seen = self._seen.get(name, 0) + 1
                if len(held) < SAMPLE_MAX:
                    held.append(record)
                elif (at := self._random.randrange(seen)) < SAMPLE_MAX:
                    held[at] = record

    def drain(self) -> dict[tuple[str, str], list[PredictionRecord]]:
        """What was sampled; the next sample begins."""
        with self._lock:
            held, self._held, self._seen = self._held, {}, {}
            return held


class ParityCheck:
    """Compares the sample with the offline side and records verdicts."""

    def __init__(self, parts: Parts, sample: ParitySample) -> None:
        self._parts = parts
        self._sample = sample
        self._looked_s = time.monotonic()
        self._waiting: dict[tuple[str, str, str], list[PredictionRecord]] = {}
        """By endpoint, version and view: answers of a moment that the view's source has not reached yet, or too few to decide anything."""

    def look(self) -> None:
        """Compare when the interval is over; 0 switches the comparison off."""
        every_s = self._parts.settings.parity_interval_s
        if every_s and time.monotonic() - self._looked_s >= every_s:
            self._looked_s = time.monotonic()
            self.run()

    def run(self) -> list[ParityRecord]:
        """Compare what was sampled since the last time, each view with what it has not judged yet."""
        sampled = self._sample.drain()
        waiting, self._waiting = self._waiting, {}
        found = []
        for endpoint, version in sampled.keys() | {(endpoint, version) for endpoint, version, _ in waiting}:
            held = self._parts.ledger.get(KIND_MODEL_VERSION, version_id_of(version), ModelVersion)
            if held is None:
                continue
            bundle = open_bundle(self._parts.artifacts, self._parts.trust, held.bundle, held.envelope)
            signature = msgspec.json.decode(bundle.read(SIGNATURE), type=Signature)
            for binding in signature.views:
                records = [*waiting.get((endpoint, version, binding.view), ()), *sampled.get((endpoint, version), ())]
                record = self._view(endpoint, version, signature, binding, records)
                found += [record] if record is not None else []
        return found

    def _view(
        self,
        endpoint: str,
        version: str,
        signature: Signature,
        binding: ViewBinding,
        records: list[PredictionRecord],
    ) -> ParityRecord | None:
        view = next((v for v in held_definitions(self._parts, binding.view) if view_version(v) == binding.view_version), None)
        if view is None or latest_snapshot(self._parts, view.source) is None:
            return None
        line = timeline(view, latest_rows(self._parts, view.source)[1])
        # Beyond the newest row that the source has delivered to us, the offline side cannot know what the online side may know already.
        known_us = line.select(pl.max_horizontal(pl.col(EVENT, ARRIVAL)).max()).item() if line.height else 0
        asked = [record for record in records if record.asked_at_us <= known_us]
        # A handful that decides nothing must not take the place of a verdict: it waits for more.
        enough = len(asked) >= CELLS_MIN
        later = [record for record in records if record.asked_at_us > known_us] if enough else records
        if later:
            self._waiting[endpoint, version, view.name] = later[-SAMPLE_MAX:]
        if not enough:
            return None
        contract = contract_of(self._parts, view.source)
        columns = [(i, column) for i, column in enumerate(signature.columns) if column.source == "view" and column.view == view.name]
        verdicts = judge(
            view,
            line,
            _served(view, line, binding, signature, [(i, column.feature) for i, column in columns], asked),
            lag_us=view.freshness_sla_us or DAY_US,
            defaults={column.feature: column.default for _, column in columns if column.default is not None},
            masked=frozenset(personal_features(view, contract)),
        )
        record = ParityRecord(
            view=view.name,
            view_version=binding.view_version,
            endpoint=endpoint,
            version=version,
            at_us=self._parts.clock.now_us(),
            questions=len(asked),
            features=verdicts,
        )
        command = RecordParity(found=record, owning_team=contract.team)
        self._parts.ledger.write(
            PLATFORM, command, key=f"parity/{digest_record([view.name, endpoint, version, record.at_us, [each.id for each in asked]])}"
        )
        return record


def _served(
    view: FeatureView,
    line: pl.DataFrame,
    binding: ViewBinding,
    signature: Signature,
    columns: list[tuple[int, str]],
    records: list[PredictionRecord],
) -> pl.DataFrame:
    """The view's features out of the logged input rows, with the entity each was looked up for."""
    width = len(signature.columns)
    matrix = np.frombuffer(b"".join(r.features[: width * 8] for r in records), dtype="<f8").reshape(len(records), width)
    entities = {
        name: pl.Series(name, [record.entities.get(field) for record in records], dtype=pl.String).cast(line.schema[name], strict=False)
        for name, field in zip(view.entity, binding.entity_fields, strict=True)
    }
    return pl.DataFrame(
        {
            "prediction": [record.id for record in records],
            "asked_us": pl.Series([record.asked_at_us for record in records], dtype=pl.Int64),
            **entities,
            **{feature: matrix[:, i] for i, feature in columns},
        }
    )


def parity_signals(parts: Parts, endpoint: str, version: str) -> tuple[Signal, ...]:
    """A signal for each view that was served skewed at its newest comparison."""
    signals = []
    for found in parts.ledger.find(KIND_PARITY, ParityRecord):
        skewed = [each for each in found.features if each.answer == "fail"]
        if skewed and (found.endpoint, found.version) == (endpoint, version):
            worst = max(skewed, key=lambda each: each.wrong_share)
            signals.append(
                Signal(
                    kind="parity",
                    subject=found.view,
                    observed=worst.wrong_share,
                    threshold=WRONG_SHARE_MAX,
                    window=(found.at_us, found.at_us),
                    detail=f"{worst.feature}: {100 * worst.wrong_share:.2g} % of {worst.cells} served values are not what the offline side "
                    f"has ({', '.join(each.feature for each in skewed)})",
                )
            )
    return tuple(signals)
