"""A version made again by a real worker, asked for over HTTP by a person of the team."""

import time

import pytest
from tests.whole_program import WholeProgram

from leverframe.core.errors import Forbidden


def test_a_live_version_comes_again_bit_for_bit_at_a_worker(running: WholeProgram) -> None:
    ana = running.person("ana")
    asked = ana.training.reproduce("flight-delay@v1")
    assert ana.training.reproduce("flight-delay@v1").id == asked.id, "a second attempt was started beside the first"
    deadline = time.monotonic() + 60.0
    while (found := ana.training.reproduction("flight-delay@v1")).status == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (found.status, found.differences, found.changes) == ("identical", (), ()), found
    assert not list((running.home / "reproduce").iterdir()), "rows of the training set were left behind"


def test_who_may_not_train_may_not_make_again(running: WholeProgram) -> None:
    with pytest.raises(Forbidden, match="ben"):
        running.person("ben").training.reproduce("flight-delay@v2")
