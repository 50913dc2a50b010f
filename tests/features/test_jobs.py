"""Which job that was done says how long one will take that was not."""

import msgspec

from leverframe.core.digest import digest_bytes
from leverframe.features.materialization.jobs import JobRecord, most_alike

BIG = JobRecord(
    id="big",
    view="w",
    view_version=digest_bytes(b"v"),
    source="s",
    mode="full",
    snapshot=digest_bytes(b"s"),
    from_us=0,
    to_us=1,
    started_by="ana",
    started_at_us=10,
    status="done",
    rows=300_000,
    seconds=2.0,
)


def like(name: str, **facts: object) -> JobRecord:
    return msgspec.structs.replace(BIG, id=name, **facts)


def test_a_small_job_afterwards_does_not_make_rows_dear() -> None:
    """Twenty rows in a fifth of a second would make a million rows take three hours."""
    small = like("small", rows=20, seconds=0.2, started_at_us=20)
    found = most_alike([BIG, small], "w", 1_000_000)
    assert found is not None
    assert (found.id, found.rows_per_second) == ("big", 150_000.0)
    assert most_alike([BIG, small], "w", 25) is small


def test_its_own_jobs_come_before_others_and_newer_ones_before_older() -> None:
    other, newer = like("other", view="x", rows=1_000_000), like("newer", started_at_us=30)
    assert most_alike([BIG, other, newer], "w", 1_000_000) is newer
    assert most_alike([other], "w", 1_000_000) is other


def test_what_was_not_finished_was_not_measured() -> None:
    jobs = [like("failed", status="failed"), like("empty", rows=0), like("at once", seconds=0.0)]
    assert most_alike(jobs, "w", 10) is None
    assert most_alike([*jobs, BIG], "w", 0) is BIG
