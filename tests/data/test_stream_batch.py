"""A batch of a stream, row by row: nothing is lost, nothing counts twice, and what is set aside says why."""

import io
import json
from typing import Any

import msgspec
import polars as pl
import pytest

from leverframe.core.dataset import Snapshot
from leverframe.core.errors import Refused
from leverframe.data.contract.contracts import Column, Contract, SqlRule, Volume
from leverframe.data.snapshots.snapshots import read_snapshot
from leverframe.data.streams.batch import PLACE, RAW, RULE, Batch, Taken, take_batch
from leverframe.data.streams.messages import MESSAGE_CHARACTERS_MAX, StreamMessage
from leverframe.data.streams.seen import IDS_MIN, Seen
from leverframe.data.streams.taken import StreamRules

COLUMNS = (
    Column(name="id", logical_type="string", physical_type="string", required=True, primary_key=True),
    Column(name="miles", logical_type="number", physical_type="float64", minimum=0),
    Column(name="at", logical_type="timestamp", physical_type="int64", required=True),
)
CONTRACT = Contract(name="c", version="1.0.0", dataset="d", owner="ana", team="t", columns=COLUMNS, volume=Volume(rows_min=1000))
UNKEYED = msgspec.structs.replace(CONTRACT, columns=(msgspec.structs.replace(COLUMNS[0], primary_key=False), *COLUMNS[1:]))


def messages(*rows: Any, first: int = 0, ids: bool = False) -> list[StreamMessage]:
    """Rows (or texts) as messages at places ``0:first`` and on."""
    return [
        StreamMessage(f"0:{first + n}", f"m{first + n}" if ids else "", row if isinstance(row, str) else json.dumps(row))
        for n, row in enumerate(rows)
    ]


def row(name: str, miles: Any = 1.0, at: Any = 5, **more: Any) -> dict[str, Any]:
    return {"id": name, "miles": miles, "at": at, **more}


def take(blobs, sent: list[StreamMessage], *, contract: Contract = CONTRACT, base: Snapshot | None = None, **options: Any) -> Taken:
    rules = StreamRules(**{name: options.pop(name) for name in ("new_columns", "on_break") if name in options})
    batch = Batch(dataset="d", stream="s", contract=contract, rules=rules, base=base, blobs=blobs, now_us=9, **options)
    taken = take_batch(batch, sent)
    if not taken.pause:
        assert taken.rows + taken.quarantined + taken.repeated == len(sent), "a message went nowhere"
    return taken


def aside(blobs, taken: Taken) -> list[tuple[str, str]]:
    frame = pl.read_parquet(io.BytesIO(blobs.get(taken.quarantine)))
    return list(frame.select(PLACE, RULE).iter_rows())


def ids(blobs, snapshot: Snapshot | None) -> list[str]:
    assert snapshot is not None
    return read_snapshot(blobs, snapshot).collect()["id"].to_list()


def test_each_bad_message_is_set_aside_with_its_rule_and_the_others_are_kept(blobs):
    sent = messages(row("a"), row("b", miles=-1), "{", row("c", miles="far"), '{"id": {"deep": 1}}', row("d", at=None), row("e"))
    taken = take(blobs, sent)
    assert ids(blobs, taken.snapshot) == ["a", "e"]
    assert dict(aside(blobs, taken)) == {
        "0:1": "minimum miles",
        "0:2": "readable: not one flat JSON object of text, numbers, true, false or null",
        "0:3": "type miles",
        "0:4": "readable: not one flat JSON object of text, numbers, true, false or null",
        "0:5": "required at",
    }
    kept = pl.read_parquet(io.BytesIO(blobs.get(taken.quarantine)))
    assert kept.filter(pl.col(PLACE) == "0:2")[RAW].to_list() == ["{"]
    assert taken.report.quarantined_rows == 5


def test_a_rule_about_a_whole_file_stops_no_stream(blobs):
    assert take(blobs, messages(row("a"))).rows == 1, "the contract asks for a thousand rows a file"


def test_what_came_before_counts_once_within_a_batch_and_against_the_dataset(blobs):
    first = take(blobs, messages(row("a"), row("b"), row("a")))
    assert (first.rows, first.repeated) == (2, 1)
    second = take(blobs, messages(row("b"), row("c"), row("a", miles=7.0), row("c", miles=8.0)), base=first.snapshot)
    assert sorted(ids(blobs, second.snapshot)) == ["a", "b", "c"]
    assert (second.rows, second.repeated) == (1, 1)
    assert sorted(aside(blobs, second)) == [("0:2", "changed_key"), ("0:3", "primary_key id")]
    third = take(blobs, messages(row("a"), row("c")), base=second.snapshot)
    assert third.snapshot is None
    assert third.repeated == 2


def test_without_a_key_messages_are_told_apart_by_their_ids_and_never_by_their_rows(blobs):
    seen: set[bytes] = set()
    first = take(blobs, messages(row("a"), row("a"), ids=True), contract=UNKEYED, seen=seen)
    assert first.rows == 2, "equal rows of different messages are two rows"
    again = take(blobs, messages(row("a"), row("z"), first=1, ids=True), contract=UNKEYED, base=first.snapshot, seen=seen)
    assert (again.rows, again.repeated) == (1, 1)
    unnamed = take(blobs, messages(row("a"), row("a")), contract=UNKEYED, base=again.snapshot, seen=seen)
    assert unnamed.rows == 2


def test_ids_are_remembered_over_many_small_batches_and_then_forgotten_oldest_first(blobs):
    digests: tuple[str, ...] = ()
    for batch in range(28):
        seen = Seen(blobs, digests)
        seen.ids.update(number.to_bytes(8, "big") for number in range(batch * 5_000, (batch + 1) * 5_000))
        digests, _ = seen.window()
    known = Seen(blobs, digests).ids
    assert IDS_MIN <= len(known) <= IDS_MIN + 10_000
    assert (139_999).to_bytes(8, "big") in known
    assert (0).to_bytes(8, "big") not in known
    assert len(digests) < 20, "many small batches leave many blobs"
    assert Seen(blobs, digests).window() == (digests, ()), "nothing new writes nothing"


@pytest.mark.parametrize(("how", "rows"), [("ignore", 2), ("quarantine", 1)])
def test_a_column_that_nobody_agreed_to_is_dropped_or_its_rows_set_aside_as_declared(blobs, how, rows):
    taken = take(blobs, messages(row("a"), row("b", colour="red")), new_columns=how)
    assert taken.rows == rows
    assert taken.strange == ("colour",)
    assert "colour" not in (taken.snapshot.columns if taken.snapshot else {})
    assert [rule for _, rule in aside(blobs, taken)] == ["unexpected"] if how == "quarantine" else not taken.quarantine


def test_a_column_that_nobody_agreed_to_lets_the_stream_wait_as_declared(blobs):
    held = dict(blobs.held)
    taken = take(blobs, messages(row("a"), row("b", colour="red")), new_columns="pause")
    assert "colour" in taken.pause
    assert blobs.held == held, "something of a batch that was not taken is kept"


@pytest.mark.parametrize("broken", [{"at": "tomorrow"}, {"at": None}])
def test_a_schema_that_breaks_is_told_from_a_bad_row(blobs, broken):
    few = [row(f"r{n}", **broken) for n in range(19)]
    assert not take(blobs, messages(*few, *(row(f"g{n}") for n in range(5))), on_break="pause").pause, "19 rows are bad rows"
    many = messages(*(row(f"r{n}", **broken) for n in range(30)), *(row(f"g{n}") for n in range(10)))
    assert "at (" in take(blobs, many, on_break="pause").pause
    going_on = take(blobs, many, on_break="quarantine")
    assert (going_on.rows, going_on.quarantined) == (10, 30)
    assert "in 30 of 40 rows" in going_on.broken


def test_a_batch_most_of_which_was_set_aside_says_so(blobs):
    few = take(blobs, messages(*(row(f"r{n}", miles=-1.0) for n in range(19))))
    assert few.broken == "", "19 rows are bad rows"
    many = take(blobs, messages(*(row(f"r{n}", miles=-1.0) for n in range(30)), *(row(f"g{n}") for n in range(30))))
    assert many.broken == "30 of 60 messages of its last batch were set aside, 30 of them by minimum miles"
    assert take(blobs, messages(*(row(f"r{n}", miles=-1.0) for n in range(30)), *(row(f"g{n}") for n in range(31)))).broken == ""


def test_a_contract_that_gained_a_column_takes_the_next_batch_beside_the_old_rows(blobs):
    first = take(blobs, messages(row("a", colour="red")))
    added = Column(name="colour", logical_type="string", physical_type="string")
    grown = msgspec.structs.replace(CONTRACT, version="1.1.0", columns=(*COLUMNS, added))
    second = take(blobs, messages(row("b", colour="red")), contract=grown, base=first.snapshot)
    rows = read_snapshot(blobs, second.snapshot).collect()  # type: ignore[arg-type]
    assert rows.select("id", "colour").rows() == [("a", None), ("b", "red")]


def test_a_contract_that_lost_a_column_takes_nothing(blobs):
    first = take(blobs, messages(row("a")))
    less = msgspec.structs.replace(CONTRACT, version="2.0.0", columns=(COLUMNS[0], COLUMNS[2]))
    with pytest.raises(Refused, match="cannot be added"):
        take(blobs, messages(row("b")), contract=less, base=first.snapshot)


def test_many_small_batches_leave_few_parts(blobs):
    base: Snapshot | None = None
    for batch in range(33):
        base = take(blobs, messages(*(row(f"{batch}-{n}") for n in range(10))), base=base).snapshot
    assert base is not None
    assert base.rows == 330
    assert [part.rows for part in base.blobs] == [320, 10]
    assert len(set(ids(blobs, base))) == 330


def test_no_rows_lie_where_no_snapshot_names_them(blobs):
    """A person's rows that no snapshot names would outlive the person's deletion."""
    base: Snapshot | None = None
    named: set[str] = set()
    for batch in range(9):
        base = take(blobs, messages(*(row(f"{batch}-{n}") for n in range(3))), base=base).snapshot
        assert base is not None
        named |= {part.digest for part in base.blobs}
    assert {digest for digest, data in blobs.held.items() if data[:4] == b"PAR1"} == named


def test_late_rows_are_kept_and_counted(blobs):
    first = take(blobs, messages(row("a", at=100)))
    assert first.snapshot is not None
    second = take(blobs, messages(row("b", at=50), row("c", at=150)), base=first.snapshot, newest_us=first.snapshot.event_time_max_us)
    assert (second.rows, second.late) == (2, 1)
    assert second.snapshot is not None
    assert (second.snapshot.event_time_min_us, second.snapshot.event_time_max_us) == (50, 150)


def test_what_cannot_be_read_is_not_kept_where_persons_may_be_in_it(blobs, trips, pseudonyms):
    sent = messages('{"id": "x", "rider": "ann', json.dumps({"id": "y", "kind": "odd", "miles": 1, "rider": "bob", "ended_at": 9}))
    taken = take(blobs, sent, contract=trips, pseudonyms=pseudonyms)
    assert taken.quarantined == 2
    assert not any(b"ann" in data or b"bob" in data for data in blobs.held.values()), "a person's name is on the disk"


def test_a_tolerated_share_only_warns_and_a_sql_rule_sets_its_rows_aside(blobs):
    rules = (SqlRule(name="short", bad_when="miles > 50"), SqlRule(name="tiny", bad_when="miles < 2", share_max=0.1))
    contract = msgspec.structs.replace(CONTRACT, sql_rules=rules)
    taken = take(blobs, messages(row("a"), row("b", miles=60.0)), contract=contract)
    assert ids(blobs, taken.snapshot) == ["a"]
    assert aside(blobs, taken) == [("0:1", "short")]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "9" * (MESSAGE_CHARACTERS_MAX + 1), "null", '"a"', '{"id": 1e999}', ""])
def test_hostile_messages_are_set_aside(blobs, text):
    taken = take(blobs, [*messages(text), *messages(row("a"), first=1)])
    assert ids(blobs, taken.snapshot) == ["a"]
    assert taken.quarantined == 1
