"""One running installation for the walks that leave it as they found it; it is made and started once."""

from collections.abc import Iterator

import pytest
from tests.conftest import free_port
from tests.whole_program import WholeProgram, whole_program


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeProgram]:
    """Control plane, worker and gateway with ``flight-delay@v1`` live; tests may not change its routes for others."""
    with whole_program(tmp_path_factory.mktemp("whole"), gateway_grpc_port=free_port()) as program:
        yield program
