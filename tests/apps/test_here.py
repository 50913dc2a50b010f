"""Who asks a verb that works on this machine's installation, and what is said to whom it does not know."""

from pathlib import Path

import pytest

from leverframe.apps.here import actor_here
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform
from leverframe.core.errors import Unauthenticated


def test_a_token_of_another_installation_is_told_where_to_ask(tmp_path: Path) -> None:
    here, there = (Settings(home=tmp_path / name) for name in ("here", "there"))
    secrets = {}
    for settings in (here, there):
        platform = open_platform(settings)
        secrets[settings.home] = platform.access.bootstrap()
        if settings is here:
            assert actor_here(here, platform.parts.ledger, str(secrets[here.home])).roles == ("admin",)
        else:
            with pytest.raises(Unauthenticated, match="on this machine does not accept your token: no such token") as refused:
                actor_here(there, platform.parts.ledger, str(secrets[here.home]))
            assert refused.value.where == str(there.home)
            assert "LEVER_HOME" in refused.value.next_step
        platform.close()
