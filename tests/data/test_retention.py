"""What a policy lets go, and what keeps a snapshot."""

import msgspec
import pytest

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.dataset import Snapshot
from leverframe.core.errors import InvalidInput
from leverframe.data.retention.retention import Retention, check_retention, decide

NOW_US = 100 * DAY_US


def snapshot(name: str, age_days: float) -> Snapshot:
    return Snapshot(
        dataset="trips",
        digest=name,
        rows=1,
        bytes=1,
        columns={},
        contract="trips",
        contract_version="1.0.0",
        contract_digest="c",
        report_digest="r",
        created_at_us=NOW_US - int(age_days * DAY_US),
    )


ALL = [snapshot("a", 40), snapshot("b", 30), snapshot("c", 20), snapshot("d", 10), snapshot("e", 1)]


def goes(policy: Retention, references: dict[str, tuple[str, ...]] | None = None, latest: str = "e") -> str:
    return "".join(sorted(kept.digest for kept in decide(policy, ALL, references or {}, latest, NOW_US) if not kept.because))


@pytest.mark.parametrize(
    ("policy", "gone"),
    [
        (Retention(dataset="trips"), "abcd"),
        (Retention(dataset="trips", keep_last=3), "ab"),
        (Retention(dataset="trips", keep_days=25), "ab"),
        (Retention(dataset="trips", keep_last=4, keep_days=15), "a"),
        (Retention(dataset="trips", keep_last=9), ""),
    ],
)
def test_the_newest_and_the_young_stay(policy: Retention, gone: str) -> None:
    assert goes(policy) == gone


def test_what_is_used_stays_and_says_by_what() -> None:
    assert goes(Retention(dataset="trips"), {"b": ("version delay@v3",)}) == "acd"
    kept = {each.digest: each.because for each in decide(Retention(dataset="trips"), ALL, {"b": ("version delay@v3",)}, "e", NOW_US)}
    assert kept["b"] == ("used by version delay@v3",)


def test_the_current_rows_stay_even_when_they_are_old_and_so_does_what_is_minutes_old() -> None:
    assert goes(Retention(dataset="trips"), latest="a") == "bcd"
    young = msgspec.structs.replace(ALL[0], created_at_us=NOW_US - HOUR_US // 2)
    assert decide(Retention(dataset="trips"), [young, *ALL[1:]], {}, "e", NOW_US)[0].because == (
        "one of the last 1",
        "younger than an hour",
    )
    assert "younger than an hour" in decide(Retention(dataset="trips"), [young, snapshot("z", 0)], {}, "z", NOW_US)[1].because


@pytest.mark.parametrize("policy", [Retention(dataset="t", keep_last=0), Retention(dataset="t", keep_days=-1.0)])
def test_a_policy_that_keeps_nothing_is_refused(policy: Retention) -> None:
    with pytest.raises(InvalidInput):
        check_retention(policy)
