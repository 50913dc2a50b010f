"""The control plane's process: API and console over one ledger. Start it with ``python -m leverframe.apps.control_plane``."""

import json
import sys

from leverframe.apps.control.server import serve
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform
from leverframe.core.errors import LeverframeError

REFUSED_TO_START = 5
"""Exit code of a control plane that cannot serve; why stands on standard error."""


def main() -> int:
    """Serve until terminated; returns the exit code."""
    settings = Settings()
    try:
        platform = open_platform(settings)
        try:
            serve(platform, settings.host, settings.port, allow_exposure=settings.allow_exposure)
        finally:
            platform.close()
    except LeverframeError as error:
        print(json.dumps({"event": "refused to start", **error.to_dict()}), file=sys.stderr, flush=True)
        return REFUSED_TO_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
