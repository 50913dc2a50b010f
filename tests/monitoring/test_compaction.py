import multiprocessing
import os
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.monitoring.world import ENDPOINT, START_US, day_of_answers, write_segment

from leverframe.core.clock import HOUR_US
from leverframe.core.prediction import Exposure
from leverframe.core.segment import DATA_OFFSET, Counts
from leverframe.monitoring import compaction
from leverframe.monitoring.compaction import compact, read_labels, read_predictions
from leverframe.monitoring.log_reader import LogReader


def _log(folder: Path) -> list:
    records, before = [], Counts()
    for number in range(1, 4):
        part = day_of_answers(np.random.default_rng(number), START_US + number * 2 * HOUR_US, hours=2, per_hour=15)
        _, before = write_segment(folder, "gw-0", number, part, before=before)
        records += part
    return records


def _ids(into: Path, read=read_predictions) -> list[str]:
    return read(into, ENDPOINT, 0, START_US * 2).select("id").collect()["id"].sort().to_list()


def test_every_record_is_in_parquet_once_and_segments_are_gone(tmp_path: Path) -> None:
    folder, into = tmp_path / "log", tmp_path / "lake"
    records = _log(folder)
    done = compact(folder, into)
    assert (done.segments, done.records) == (3, len(records))
    assert list(folder.iterdir()) == []
    assert _ids(into) == sorted(r.id for r in records[::2])
    assert _ids(into, read_labels) == sorted(r.id for r in records[1::2])
    assert compact(folder, into).segments == 0
    first = records[0]
    row = read_predictions(into, ENDPOINT, first.asked_at_us, first.asked_at_us + 1).collect().row(0, named=True)
    assert (row["id"], row["features"], row["outputs"], row["version"]) == (first.id, first.features, list(first.outputs), first.version)
    hours = {int(p.name[5:]) for p in into.glob("predictions/*/hour=*")}
    assert hours == {r.asked_at_us // HOUR_US for r in records[::2]}


def _die_at(folder: str, into: str, step: str, when: int) -> None:
    """Compact in this process and leave without a word at the ``when``-th call of ``step``."""
    calls = {"n": 0}
    owner = Path if step == "unlink" else compaction
    real = getattr(owner, step)

    def dies(*args, **kwargs):
        calls["n"] += 1
        if calls["n"] == when:
            os._exit(9)
        return real(*args, **kwargs)

    setattr(owner, step, dies)
    compact(Path(folder), Path(into))
    os._exit(0)


@pytest.mark.parametrize(("step", "when"), [("write_durably", 1), ("write_durably", 6), ("unlink", 1), ("unlink", 2), ("sync_folder", 2)])
def test_killed_anywhere_it_converges(tmp_path: Path, step: str, when: int) -> None:
    """The process dies between any two steps; run again, the lake is as if nothing had happened."""
    folder, into = tmp_path / "log", tmp_path / "lake"
    records = _log(folder)
    child = multiprocessing.get_context("spawn").Process(target=_die_at, args=(str(folder), str(into), step, when), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == 9, "the fault did not happen, so nothing was tested"
    assert [p for p in folder.iterdir() if p.name.endswith(".sealed")], "it died with work left to do"
    compact(folder, into)
    assert _ids(into) == sorted(r.id for r in records[::2]), "lost or doubled"
    assert not [p for p in folder.iterdir() if p.name.endswith(".sealed")]
    assert pl.scan_parquet(sorted(into.glob("predictions/*/*/*.parquet"))).select(pl.len()).collect().item() == len(records) // 2


def test_removing_a_segment_first_would_lose_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with the order turned round, dying in between loses the segment."""
    folder, into = tmp_path / "log", tmp_path / "lake"
    records = _log(folder)

    def turned_round(rows, into, segment):
        (folder / f"{segment}.sealed").unlink()
        raise KeyboardInterrupt

    real = compaction._write
    monkeypatch.setattr(compaction, "_write", turned_round)
    with pytest.raises(KeyboardInterrupt):
        compact(folder, into)
    monkeypatch.setattr(compaction, "_write", real)
    compact(folder, into)
    assert len(_ids(into)) == len(records) // 2 - 30


def test_only_what_the_reader_has_left_behind_is_taken(tmp_path: Path) -> None:
    folder, into = tmp_path / "log", tmp_path / "lake"
    records = _log(folder)
    reader = LogReader(folder, bytes_per_poll_max=9_000)
    read = reader.poll()
    while reader.position.workers["gw-0"].number < 2:
        read += reader.poll()
    assert compact(folder, into, read_until=reader.position).segments == 1
    while new := reader.poll():
        read += new
    assert len(read) == len(records)
    assert reader.totals.findings == 0


def test_a_damaged_segment_is_kept_and_named(tmp_path: Path) -> None:
    folder, into = tmp_path / "log", tmp_path / "lake"
    _log(folder)
    path = sorted(folder.iterdir())[1]
    data = bytearray(path.read_bytes())
    data[DATA_OFFSET + 60] ^= 1
    path.write_bytes(data)
    done = compact(folder, into)
    assert (done.segments, done.set_aside) == (2, (path.name,))
    assert [p.name for p in folder.iterdir()] == [path.name + ".damaged"]


def test_an_endpoint_s_name_is_never_a_path(tmp_path: Path) -> None:
    assert "/" not in compaction.partition("../../etc/passwd")
    assert compaction.partition("..") == "endpoint=%2E%2E"


def test_who_met_what_is_kept_and_files_from_before_experiments_still_read(tmp_path: Path) -> None:
    folder, into = tmp_path / "log", tmp_path / "lake"
    records = _log(folder)
    compact(folder, into)
    for file in into.glob("predictions/**/*.parquet"):
        pl.read_parquet(file).drop("experiment", "experiment_key").write_parquet(file)
    first = records[0]
    exposed = msgspec.structs.replace(first, id="met", exposure=Exposure("x", 2**64 - 1))
    write_segment(folder, "gw-1", 1, [exposed])
    compact(folder, into)
    read = read_predictions(into, ENDPOINT, 0, START_US * 2).select("id", "experiment", "experiment_key").collect()
    assert read.filter(pl.col("id") == "met").row(0) == ("met", "x", 2**64 - 1)
    assert read["experiment"].null_count() == len(read) - 1
