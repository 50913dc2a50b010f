"""The journal of recent ids: over a torn end, over age, over two owners, and over messages that end the process."""

import pytest

from leverframe.core.errors import Refused, Unavailable
from leverframe.serving.stream.window import Outgoing, StreamWindow


def answers(*ids: str) -> list[Outgoing]:
    return [Outgoing(one, b"d" + one.encode(), False, b"answer " + one.encode()) for one in ids]


def again(window: StreamWindow, folder) -> StreamWindow:
    """The window as the next process finds it."""
    window.close()
    return StreamWindow(folder, "w")


def test_what_was_answered_is_known_after_a_crash_with_its_bytes_until_it_is_settled(tmp_path):
    window = StreamWindow(tmp_path, "w")
    window.begin(["a", "b"])
    window.remember(answers("a", "b"))
    window.settle(answers("a"))
    window = again(window, tmp_path)
    assert (window.known("a"), window.known("b"), window.known("c")) == (b"da", b"db", None)
    assert window.waiting("a") is None, "it was published: there is nothing to say again"
    assert window.waiting("b") == answers("b")[0]


def test_an_id_that_was_begun_and_not_answered_is_counted_as_an_attempt(tmp_path):
    window = StreamWindow(tmp_path, "w")
    for times in (1, 2):
        window.begin(["poison"])
        window = again(window, tmp_path)
        assert window.attempts("poison") == times
    window.remember(answers("poison"))
    assert again(window, tmp_path).attempts("poison") == 0


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_torn_end_costs_only_what_was_torn(tmp_path, cut):
    window = StreamWindow(tmp_path, "w")
    window.remember(answers("a"))
    size = (tmp_path / "w.window").stat().st_size
    window.remember(answers("b"))
    window.close()
    with (tmp_path / "w.window").open("r+b") as file:
        file.truncate((tmp_path / "w.window").stat().st_size - cut)
    window = StreamWindow(tmp_path, "w")
    assert (tmp_path / "w.window").stat().st_size == size
    assert (window.known("a"), window.known("b")) == (b"da", None)
    window.remember(answers("c"))
    assert again(window, tmp_path).known("c") == b"dc", "what is written behind a torn end must be readable"


def test_old_ids_are_forgotten_by_age_and_what_is_open_never_is(tmp_path):
    window = StreamWindow(tmp_path, "w", ids_max=10)
    window.remember(answers("open"))
    window.begin(["poison"])
    for number in range(35):
        window.remember(answers(f"r{number}"))
        window.settle(answers(f"r{number}"))
    known = [number for number in range(35) if window.known(f"r{number}") is not None]
    assert known == list(range(20, 35)), "between one and two files' worth"
    reopened = again(window, tmp_path)
    assert [number for number in range(35) if reopened.known(f"r{number}") is not None] == known
    assert reopened.waiting("open") == answers("open")[0]
    assert reopened.attempts("poison") == 1
    reopened.close()


def test_a_full_disk_is_said_and_leaves_the_journal_whole(tmp_path, monkeypatch):
    window = StreamWindow(tmp_path, "w")
    window.remember(answers("a"))

    import os

    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[:5], at))
    with pytest.raises(Unavailable):
        window.remember(answers("b"))
    monkeypatch.undo()
    assert window.known("b") is None, "it must not be acknowledged on the strength of memory"
    window.remember(answers("c"))
    window = again(window, tmp_path)
    assert (window.known("a"), window.known("b"), window.known("c")) == (b"da", None, b"dc")


def test_two_processes_never_share_one(tmp_path):
    window = StreamWindow(tmp_path, "w")
    with pytest.raises(Refused, match="another process"):
        StreamWindow(tmp_path, "w")
    StreamWindow(tmp_path, "other").close()
    window.close()
