"""Batch jobs for tests: rows, an online store, a whole job without an installation, and jobs in processes that are killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from tests.serving.installation import FLIGHT, bundle_files

import leverframe.serving.batch.output
from leverframe.apps.scoring.features import OnlineFeatures
from leverframe.apps.scoring.files import encode_part, open_files
from leverframe.core.route import Arm
from leverframe.core.schema import Signature
from leverframe.features.online.online import EntityRows, ViewMeta, entity_keys
from leverframe.features.online.online_memory import MemoryOnlineStore
from leverframe.serving.batch.output import Job, Manifest, OutputFolder
from leverframe.serving.batch.parts import PartScorer
from leverframe.serving.batch.run import run_batch
from leverframe.serving.engine.models import LoadedVersion, load_version

NOW_US = 1_364_814_000_000_000
DIGEST = "sha256:" + "a" * 64
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


def loaded(signature: Signature, files: Mapping[str, bytes] | None = None) -> LoadedVersion:
    """A version as a gateway loads it."""
    arm = Arm(version="m@v1", bundle=DIGEST, envelope=DIGEST, role="live", weight=100.0)
    return load_version("m", arm, files or bundle_files(signature, 3))


def online() -> MemoryOnlineStore:
    """Two views; LGA has no weather, and JFK's has expired."""
    store = MemoryOnlineStore()
    for binding, origins, width in ((FLIGHT.views[0], ["JFK", "LGA", "EWR"], 2), (FLIGHT.views[1], ["JFK", "EWR"], 2)):
        ages = np.array([NOW_US - 7_200_000_000 if o == "JFK" else NOW_US - 1 for o in origins], dtype=np.int64)
        values = np.arange(len(origins) * width, dtype=np.float64).reshape(len(origins), width) * 3.7 + 1
        rows = EntityRows(keys=entity_keys([origins]), event_us=ages, arrival_us=ages, values=values)
        meta = ViewMeta(view=binding.view, view_version=binding.view_version, features=binding.features, watermark_us=NOW_US)
        store.write(rows, meta)
    return store


def flights(rows: int, seed: int = 5) -> pl.DataFrame:
    """Different rows for ``FLIGHT``; some carriers and distances are missing, some origins unknown."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "flight_id": np.arange(rows) * 7,
            "origin": rng.choice(["JFK", "LGA", "EWR", "XXX"], rows),
            "carrier": pl.Series(rng.choice(["AA", "B6", "UA", "ZZ", ""], rows)).replace("", None),
            "distance": pl.Series(rng.normal(900, 400, rows)).set(pl.Series(rng.random(rows) < 0.1), None),
            "sched_dep_s": 1_364_814_000 + np.arange(rows) * 61,
        }
    )


def batch(
    path: Path,
    output: Path,
    signature: Signature,
    *,
    rows_per_part: int = 1000,
    workers: int = 1,
    told=None,
    features=None,
    bundle=None,
    **more,
) -> Manifest:
    """Score a file as ``lever score`` does, without an installation."""
    model = loaded(signature, bundle)
    rows = open_files([path], signature, **more)
    job = Job(
        version="m@v1", bundle=DIGEST, inputs=rows.digests, rows=rows.rows(), rows_per_part=rows_per_part,
        id_column=rows.id_column, kept=rows.kept, moment_us=NOW_US,
    )  # fmt: skip
    folder = OutputFolder(output)
    features = features or OnlineFeatures(signature, online(), NOW_US)
    with folder.held():
        job = folder.begin(job)
        return run_batch(
            job, rows, PartScorer(model, features), partial(encode_part, output=model.output), folder,
            workers=workers, progress=told or (lambda _: None),
        )  # fmt: skip


def scores(output: Path) -> pl.DataFrame:
    """What a reader of a finished folder sees."""
    manifest = OutputFolder(output).finished()
    return pl.concat(pl.read_parquet(output / part.file) for part in manifest.parts)


def files_of(output: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its bytes and when it was written."""
    return {str(p.relative_to(output)): (p.read_bytes(), p.stat().st_mtime_ns) for p in output.rglob("*") if p.is_file()}


# ---- processes that are killed ---------------------------------------------------------------------------------------------------------


def _in_place(path: Path, data: bytes) -> None:
    """The protection switched off: bytes go to the final name one by one, as a slow disk would take them."""
    with path.open("wb", buffering=0) as file:
        for at in range(len(data)):
            file.write(data[at : at + 1])


def _child(path: Path, output: Path, bundle: Mapping[str, bytes], in_place: bool) -> None:
    if in_place:
        leverframe.serving.batch.output.write_durably = _in_place  # type: ignore[assignment]
    batch(path, output, FLIGHT, rows_per_part=250, workers=2, bundle=bundle)


def killed(path: Path, output: Path, after_files: int, *, in_place: bool = False) -> bool:
    """Run a job in a process of its own and kill it when the folder has that many files; False when it was done before."""
    child = _CONTEXT.Process(target=_child, args=(path, output, dict(bundle_files(FLIGHT, 3)), in_place), daemon=True)
    child.start()
    assert child.pid is not None
    deadline = time.monotonic() + 60
    while child.is_alive():
        assert time.monotonic() < deadline, "the job hangs"
        if output.exists() and sum(1 for _ in output.rglob("*")) >= after_files:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            return True
        time.sleep(0.0005)
    assert child.exitcode == 0
    return False
