"""``python -m leverframe.apps.gateway.worker SETTINGS``: one worker, started by the parent of its fleet."""

import json
import sys

from leverframe.apps.gateway.main import REFUSED_TO_START
from leverframe.apps.gateway.process import run
from leverframe.apps.gateway.settings import from_argument
from leverframe.core.errors import LeverframeError


def main() -> int:
    """Serve until asked to stop; returns the exit code."""
    settings = from_argument(sys.argv[1])
    try:
        run(settings)
    except LeverframeError as error:
        print(json.dumps({"event": "worker refused to start", "worker": settings.worker, **error.to_dict()}), file=sys.stderr, flush=True)
        return REFUSED_TO_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
