"""``lever data stream --push``: what a batch brought is readable online when it was taken, and after a crash when the reader is back."""

import msgspec
import pytest
from tests.apps import test_materializing
from tests.apps.test_materializing import LATEST, START_US, Place, row

from leverframe.apps.platform.views.streams import OpenStreamRequest, StreamBatch
from leverframe.core.clock import DAY_US
from leverframe.data.streams.messages import StreamMessage
from leverframe.data.streams.taken import StreamRules

place = test_materializing.place
ASKED = OpenStreamRequest(source="nats://h/readings", rules=StreamRules(push=True))


def batch(number: int, *rows: object) -> StreamBatch:
    messages = tuple(StreamMessage(f"0:{number}", "", msgspec.json.encode(each).decode()) for each in rows)
    return StreamBatch(after={"0": str(number - 1)} if number > 1 else {}, upto={"0": str(number)}, messages=messages)


def test_a_batch_is_readable_online_when_it_was_taken(place: Place) -> None:
    place.materialize(names=("latest",), to_us=START_US + 4 * DAY_US + 2_000_000)
    streams = place.platform.streams
    streams.open(place.ana, "readings", "r", ASKED, key="open")
    taken = streams.take(place.ana, "readings", "r", batch(1, row("s0", 4.5, 50.0), row("new", 4.5, 9.0)), key="1")
    assert taken.pushed == {"latest": 2}
    assert place.values(LATEST, ["s0", "s1", "new"]) == [[50.0], [4.0], [9.0]]


def test_a_crash_between_record_and_push_is_made_good_when_the_reader_is_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.materialize(names=("latest",), to_us=START_US + 4 * DAY_US + 2_000_000)
    streams = place.platform.streams
    streams.open(place.ana, "readings", "r", ASKED, key="open")

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(streams._pushing, "apply", dying)
    with pytest.raises(KeyboardInterrupt):
        streams.take(place.ana, "readings", "r", batch(1, row("s0", 4.5, 50.0)), key="1")
    monkeypatch.undo()
    assert place.values(LATEST, ["s0"]) != [[50.0]], "it did not die before the push: the test would prove nothing"
    streams.open(place.ana, "readings", "r", ASKED, key="open again")
    assert place.values(LATEST, ["s0"]) == [[50.0]]
