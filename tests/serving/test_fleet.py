"""What workers of a fleet leave for each other: whole documents over any death, sums that add up, and whose turn it is."""

import os

import pytest

from leverframe.apps.gateway.settings import AUTO, FleetPlace, GatewaySettings, from_argument, to_argument, workers_of
from leverframe.core.errors import Integrity, InvalidInput, LimitExceeded
from leverframe.serving.telemetry.counts import Telemetry, together
from leverframe.serving.telemetry.fleet import Fleet, WorkerReport
from leverframe.serving.telemetry.fleet_page import SLOT_BYTES, FleetPage, Turns, page_path


@pytest.fixture
def pages(tmp_path):
    made = [FleetPage.create(page_path(tmp_path, f"gw-{number}")) for number in range(2)]
    for page in made:
        page.started(os.getpid())
    yield made
    for page in made:
        page.close()


def test_a_worker_killed_in_the_middle_of_a_write_leaves_the_document_before(pages, tmp_path):
    page = pages[0]
    page.write(b"first")
    page.write(b"second")
    assert FleetPage.open(page_path(tmp_path, "gw-0")).read() == b"second"
    # The third write dies after half of its bytes: they are in the other slot, and the slots have not changed places.
    path = page_path(tmp_path, "gw-0")
    with path.open("r+b") as file:
        newest = page._get(48)
        file.seek(4096 + (1 - newest) * SLOT_BYTES)
        file.write(b"half of the third")
    assert page.read() == b"second"
    with path.open("r+b") as file:
        file.seek(4096 + newest * SLOT_BYTES + 9)
        file.write(b"?")
    assert page.read() == b"", "a damaged document must not be believed"


def test_a_document_that_is_too_large_leaves_the_one_before(pages):
    pages[0].write(b"kept")
    with pytest.raises(LimitExceeded):
        pages[0].write(bytes(SLOT_BYTES))
    assert pages[0].read() == b"kept"


def test_what_is_no_page_is_refused(tmp_path):
    page_path(tmp_path, "gw-0").write_bytes(b"something else")
    with pytest.raises(Integrity):
        FleetPage.open(page_path(tmp_path, "gw-0"))


def test_it_is_the_turn_of_whoever_carries_fewest_of_those_that_beat(pages):
    mine, other = pages
    turn = Turns(mine, (other,)).mine
    mine.carry(2)
    other.carry(1)
    assert turn(0), "the other has not begun to beat: nobody waits for it"
    other.beat()
    assert not turn(0)
    other.carry(2)
    assert turn(0)
    assert not turn(1), "a connection that is just being made counts"


def test_a_successor_counts_on_and_a_worker_that_was_given_up_leaves_the_page_alone(pages, tmp_path):
    counted = Telemetry()
    counted.arm("m", "m@v1", "live").observe(100)
    counted.arm("m", "m@v1", "live").ok += 1
    counted.refuse("invalid_input")
    fleet = Fleet(tmp_path, ("gw-0", "gw-1"), "gw-0")
    fleet.publish(WorkerReport(worker="gw-0", telemetry=counted.record()))
    pages[0].died("ended by SIGKILL")
    successor = Telemetry()
    successor.add(Fleet(tmp_path, ("gw-0", "gw-1"), "gw-0").predecessor().telemetry)
    assert successor.record() == counted.record()
    fleet.publish(WorkerReport(worker="gw-0"))
    assert fleet.predecessor().telemetry == counted.record()
    assert (pages[0].beat_ns, pages[0].deaths, pages[0].reason) == (0, 1, "ended by SIGKILL")
    twice = together([counted.record(), successor.record()])
    assert (twice.arm("m", "m@v1", "live").answers, twice.refusals) == (2, {"invalid_input": 2})


def test_settings_reach_a_worker_as_they_are(tmp_path):
    place = FleetPlace(workers=("gateway-0", "gateway-1"), listen_fds=(5,), started_ns=7)
    settings = GatewaySettings(home=tmp_path, workers=2, fleet=place)
    assert from_argument(to_argument(settings)) == settings
    assert settings.names == ("gateway-0", "gateway-1")


def test_the_number_of_workers_is_a_number_or_auto():
    assert workers_of(AUTO) >= 1
    for wrong in ("0", "-1", "257", "two", "1.5", ""):
        with pytest.raises(InvalidInput):
            workers_of(wrong)
