"""The control plane's process: API and console over one ledger. Start it with ``python -m leverframe.apps.control_plane``."""

from leverframe.apps.control.server import serve
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform


def main() -> None:
    """Serve until terminated."""
    settings = Settings()
    platform = open_platform(settings)
    try:
        serve(platform, settings.host, settings.port, allow_exposure=settings.allow_exposure)
    finally:
        platform.close()


if __name__ == "__main__":
    main()
