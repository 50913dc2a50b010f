"""One running installation for the faults that it must survive; made and started once."""

from collections.abc import Iterator

import pytest
from tests.whole_program import WholeProgram, whole_program


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeProgram]:
    """Control plane, worker and gateway under their supervisor; whatever is killed is up again when a test ends."""
    with whole_program(tmp_path_factory.mktemp("whole")) as program:
        yield program
