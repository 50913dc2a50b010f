"""Which control plane ``lever`` talks to: an address and a token, kept in ``<home>/client.json`` for this user only."""

import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from leverframe.core.errors import InvalidInput, Refused, Unauthenticated

if TYPE_CHECKING:
    from leverframe.apps.client import Client

DEFAULT_URL = "http://127.0.0.1:8400"
DEFAULT_GATEWAY_URL = "http://127.0.0.1:8401"
OWNER_ONLY = 0o600


def home_folder() -> Path:
    """``LEVER_HOME``, or ``.leverframe`` here."""
    return Path(os.environ.get("LEVER_HOME", ".leverframe"))


def save(home: Path, url: str, token: str) -> Path:
    """Keep the address and token, readable by this user only; the file is never readable by others, not even for a moment."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "client.json"
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"url": url, "token": token}, file)
    written.replace(path)
    return path


def load(home: Path) -> tuple[str, str]:
    """The address and token: from ``LEVER_URL`` and ``LEVER_TOKEN``, else from ``<home>/client.json``.

    Raises
    ------
    Unauthenticated: there are none.    Refused: others can read the file.
    """
    url, token = os.environ.get("LEVER_URL", ""), os.environ.get("LEVER_TOKEN", "")
    path = home / "client.json"
    if token:
        return url or DEFAULT_URL, token
    if not path.exists():
        raise Unauthenticated("not signed in", where=str(path), next_step="lever login URL --token TOKEN")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise Refused("others can read this file with a token in it", where=str(path), next_step=f"chmod 600 {path}")
    try:
        kept = json.loads(path.read_text())
        return url or str(kept["url"]), str(kept["token"])
    except (ValueError, KeyError, TypeError) as exc:
        raise InvalidInput("not a client file", where=str(path), next_step="lever login URL --token TOKEN") from exc


def connect() -> "Client":
    """A client for the control plane this user is signed in to."""
    from leverframe.apps.client import Client

    url, token = load(home_folder())
    return Client(url, token, gateway_url=gateway_address(home_folder()), keys=_keys(os.environ.get("LEVER_IDEMPOTENCY_KEY", "")))


def _keys(given: str) -> Iterator[str] | None:
    """The keys of a command's changes, from the one it was given: itself, then numbered, as the same command makes them again."""
    if not given:
        return None
    return (given if place == 0 else f"{given}/{place}" for place in count())


def gateway_address(home: Path) -> str:
    """``LEVER_GATEWAY_URL``, else where this home's own gateway listens while ``lever up`` runs, else the usual address."""
    told = os.environ.get("LEVER_GATEWAY_URL", "")
    if told:
        return told
    try:
        return str(json.loads((home / "run.json").read_text())["gateway"])
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_GATEWAY_URL
