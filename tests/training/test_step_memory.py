import pytest

from leverframe.core.errors import InvalidInput
from leverframe.training.step_memory import FolderSteps

KEY, OUTPUT, OTHER = ("sha256:" + c * 64 for c in "abc")


def test_outlives_its_object_and_can_be_overwritten(tmp_path):
    FolderSteps(tmp_path / "steps").remember(KEY, OUTPUT)
    assert FolderSteps(tmp_path / "steps").recall(KEY) == OUTPUT
    FolderSteps(tmp_path / "steps").remember(KEY, OTHER)
    assert FolderSteps(tmp_path / "steps").recall(KEY) == OTHER
    assert FolderSteps(tmp_path / "steps").recall(OTHER) is None


@pytest.mark.parametrize("damage", [b"", b"sha256:short", b"\xff\xfe", b"../../etc/passwd"])
def test_a_damaged_entry_is_forgotten_not_believed(tmp_path, damage):
    memory = FolderSteps(tmp_path)
    memory.remember(KEY, OUTPUT)
    (tmp_path / KEY.removeprefix("sha256:")).write_bytes(damage)
    assert memory.recall(KEY) is None


def test_a_key_is_never_a_path(tmp_path):
    with pytest.raises(InvalidInput):
        FolderSteps(tmp_path).recall("../outside")
