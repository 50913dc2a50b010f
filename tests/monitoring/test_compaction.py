"""Segments of the prediction log that become Parquet: every record once, whoever dies when, and the way back."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.monitoring.world import START_US, day_of_answers, write_segment

from leverframe.core.clock import HOUR_US
from leverframe.core.errors import Integrity
from leverframe.core.prediction import Exposure, LabelRecord, LogRecord, PredictionRecord, encode_frame
from leverframe.core.segment import DATA_OFFSET, Counts
from leverframe.monitoring import compaction, log_archive
from leverframe.monitoring.compaction import Compacted, compact
from leverframe.monitoring.log_archive import LogArchive, partition
from leverframe.monitoring.log_reader import LogReader, Position, WorkerPosition, earlier
from leverframe.monitoring.log_redaction import redact
from leverframe.monitoring.log_span import ends, read_span

PAST_ALL = Position(workers={worker: WorkerPosition(number=99) for worker in ("gw-0", "gw-1")})


def _log(folder: Path) -> list[LogRecord]:
    records: list[LogRecord] = []
    before = Counts()
    for number in range(1, 4):
        part = day_of_answers(np.random.default_rng(number), START_US + number * 2 * HOUR_US, hours=2, per_hour=15)
        _, before = write_segment(folder, "gw-0", number, part, before=before)
        records += part
    return records


def _compact(folder: Path, into: Path, until: Position = PAST_ALL, **bounds: int) -> Compacted:
    return compact(folder, LogArchive(into), read_until=until, **{"sealed_before_us": 2**62, **bounds})


def _read(into: Path) -> list[LogRecord]:
    archive = LogArchive(into)
    return [record for segment in sorted(archive.names()) for record in archive.read(segment, archive.entry(segment).used)]


def test_every_record_comes_back_as_it_was_and_segments_are_gone(tmp_path: Path) -> None:
    folder, into = tmp_path / "log", tmp_path / "lake"
    records = _log(folder)
    done = _compact(folder, into)
    assert (done.segments, done.records) == (3, len(records))
    assert list(folder.iterdir()) == []
    assert _read(into) == records, "the order in which they were written, labels between answers"
    assert _compact(folder, into).segments == 0
    hours = {int(p.name[5:]) for p in into.glob("predictions/*/hour=*")}
    assert hours == {r.asked_at_us // HOUR_US for r in records if isinstance(r, PredictionRecord)}


def test_no_field_of_a_record_is_lost(tmp_path: Path) -> None:
    """Would be wrong if a field were added to the log and not to the archive: every field differs from its default here."""
    answer = PredictionRecord(
        id="a",
        endpoint="e",
        tenant="t",
        version="m@v1",
        role="canary",
        generation=3,
        asked_at_us=START_US,
        latency_us=7,
        status="fallback",
        outputs=(0.25, float("inf")),
        features=b"12345678",
        entities={"rider": "ann", "é": "x"},
        missing=2,
        disabled=1,
        code="deadline",
        more_outputs=b"87654321",
        routed=False,
        exposure=Exposure("x", 2**64 - 1),
    )
    label = LabelRecord(id="", endpoint="e", label=-1.5, known_at_us=START_US, row=4, entities={"rider": "ann"}, asked_at_us=9)
    for record in (answer, label):
        defaults = dict(zip(type(record).__struct_fields__[::-1], type(record).__struct_defaults__[::-1], strict=False))
        assert [name for name, value in defaults.items() if getattr(record, name) == value] == []
    folder, into = tmp_path / "log", tmp_path / "lake"
    write_segment(folder, "gw-0", 1, [answer, label])
    _compact(folder, into)
    assert _read(into) == [answer, label]


def _die_at(folder: str, into: str, step: str, when: int) -> None:
    """Compact in this process and leave without a word at the ``when``-th call of ``step``."""
    calls = {"n": 0}
    owner: Any = {"unlink": Path, "write_durably": log_archive}.get(step, compaction)
    real = getattr(owner, step)

    def dies(*args: Any, **kwargs: Any) -> Any:
        calls["n"] += 1
        if calls["n"] == when:
            os._exit(9)
        return real(*args, **kwargs)

    setattr(owner, step, dies)
    _compact(Path(folder), Path(into))
    os._exit(0)


@pytest.mark.parametrize(("step", "when"), [("write_durably", 1), ("write_durably", 5), ("unlink", 1), ("unlink", 2), ("sync_folder", 2)])
def test_killed_anywhere_it_converges(tmp_path: Path, step: str, when: int) -> None:
    """The process dies between any two steps; run again, the archive is as if nothing had happened."""
    folder, into = tmp_path / "log", tmp_path / "lake"
    records = _log(folder)
    upto = ends(folder)
    child = multiprocessing.get_context("spawn").Process(target=_die_at, args=(str(folder), str(into), step, when), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == 9, "the fault did not happen, so nothing was tested"
    assert [p for p in folder.iterdir() if p.name.endswith(".sealed")], "it died with work left to do"
    assert list(read_span(folder, LogArchive(into), upto)) == records, "what is half done is read once"
    _compact(folder, into)
    assert _read(into) == records, "lost or doubled"
    assert not [p for p in folder.iterdir() if p.name.endswith(".sealed")]
    assert pl.scan_parquet(sorted(into.glob("predictions/*/*/*.parquet"))).select(pl.len()).collect().item() == len(records) // 2


def test_removing_a_segment_first_would_lose_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with the order turned round, dying in between loses the segment."""
    folder, into = tmp_path / "log", tmp_path / "lake"
    records = _log(folder)

    def turned_round(self: LogArchive, segment: str, *_: object, **__: object) -> None:
        (folder / f"{segment}.sealed").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LogArchive, "put", turned_round)
        with pytest.raises(KeyboardInterrupt):
            _compact(folder, into)
    _compact(folder, into)
    assert len(_read(into)) == len(records) - 60


def test_only_what_every_reader_has_left_behind_and_is_old_is_taken(tmp_path: Path) -> None:
    folder, into = tmp_path / "log", tmp_path / "lake"
    records = _log(folder)
    reader = LogReader(folder, bytes_per_poll_max=9_000)
    read = reader.poll()
    while reader.position.workers["gw-0"].number < 2:
        read += reader.poll()
    assert _compact(folder, into, sealed_before_us=0).segments == 0
    assert _compact(folder, into, earlier(reader.position, Position())).segments == 0, "of a worker that one has not read, nothing goes"
    assert _compact(folder, into, earlier(PAST_ALL, reader.position)).segments == 1
    while new := reader.poll():
        read += new
    assert read == records
    assert reader.totals.findings == 0


def test_a_stretch_that_ended_within_a_segment_reads_the_same_when_that_is_archived(tmp_path: Path) -> None:
    folder, into = tmp_path / "log", tmp_path / "lake"
    records = _log(folder)
    frames = [len(encode_frame(record)) for record in records[60:70]]
    upto = Position(workers={"gw-0": WorkerPosition(number=2, offset=DATA_OFFSET + sum(frames))})
    before = list(read_span(folder, LogArchive(into), upto))
    assert before == records[:70]
    _compact(folder, into, segments_max=2)
    assert list(read_span(folder, LogArchive(into), upto)) == before
    assert list(read_span(folder, LogArchive(into), ends(folder))) == records, "archived, then what still are segments"
    torn = Position(workers={"gw-0": WorkerPosition(number=2, offset=upto.workers["gw-0"].offset + 1)})
    with pytest.raises(Integrity, match="no frame"):
        list(read_span(folder, LogArchive(into), torn))
    next(iter(into.glob("labels/*/*/gw-0-00000001.parquet"))).unlink()
    with pytest.raises(Integrity, match="gone or damaged"):
        list(read_span(folder, LogArchive(into), upto))


def test_a_damaged_segment_stays_and_is_named(tmp_path: Path) -> None:
    folder, into = tmp_path / "log", tmp_path / "lake"
    _log(folder)
    path = sorted(folder.iterdir())[1]
    data = bytearray(path.read_bytes())
    data[DATA_OFFSET + 60] ^= 1
    path.write_bytes(data)
    done = _compact(folder, into, segments_max=2)
    assert (done.segments, done.damaged) == (2, (path.name,)), "it holds up no other"
    assert [p.name for p in folder.iterdir()] == [path.name]


def test_a_person_is_found_in_the_archive_and_everything_else_stays(tmp_path: Path) -> None:
    folder, into = tmp_path / "log", tmp_path / "lake"
    ann, bob = ({"rider": name, "stop": "x"} for name in ("ann", "bob"))
    plain = [record for record in _log(tmp_path / "other")[:4] if isinstance(record, PredictionRecord)]
    records = [msgspec.structs.replace(plain[0], entities=ann), msgspec.structs.replace(plain[1], entities=bob)]
    label = LabelRecord(id="", endpoint=plain[0].endpoint, label=1.0, known_at_us=START_US, entities=ann, asked_at_us=START_US)
    write_segment(folder, "gw-0", 1, [*records, label])
    write_segment(folder, "gw-1", 1, [records[0]])
    _compact(folder, into, Position(workers={"gw-0": WorkerPosition(number=2)}))
    assert redact(folder, LogArchive(into), lambda field, text: (field, text) == ("rider", "ann"), "token") == 3
    files = [path for path in (*into.rglob("*"), *folder.rglob("*")) if path.is_file()]
    assert len(files) == 4
    rows = [path for path in files if path.suffix != ".json"]
    assert {path.stat().st_mode & 0o777 for path in rows} == {0o600}, "what callers asked is written where others can read it"
    assert [path for path in into.rglob("*.parquet") if "ann" in str(pl.read_parquet(path)["entities"].to_list())] == []
    first, second, third = _read(into)
    assert isinstance(first, PredictionRecord)
    assert np.isnan(np.frombuffer(first.features)).all()
    assert first == msgspec.structs.replace(records[0], entities=first.entities, features=first.features)
    assert first.entities == third.entities, "her answers and labels still find each other"
    assert second == records[1]
    assert redact(folder, LogArchive(into), lambda field, text: (field, text) == ("rider", "ann"), "token") == 0
    next(into.rglob("labels/*/*/*.parquet")).unlink()
    assert redact(folder, LogArchive(into), lambda field, text: text == "bob", "token") == 1, "an hour that was let go hinders nobody"


def test_an_endpoint_s_name_is_never_a_path() -> None:
    assert "/" not in partition("../../etc/passwd")
    assert partition("..") == "endpoint=%2E%2E"
