"""Records that somebody asks for by name: the record, or a refusal that says where the names are."""

from leverframe.core.command import Journal
from leverframe.core.errors import NotFound
from leverframe.core.route import Endpoint
from leverframe.release.records import KIND_ENDPOINT, KIND_RELEASE, Release


def known_release(ledger: Journal, release_id: str) -> Release:
    """The release called ``release_id``.

    Raises
    ------
    NotFound: there is none.
    """
    release = ledger.get(KIND_RELEASE, release_id, Release)
    if release is None:
        raise NotFound("no such release", where=release_id[:120], next_step="lever release list")
    return release


def known_endpoint(ledger: Journal, environment: str, endpoint: str) -> Endpoint:
    """The endpoint of this name in ``environment``.

    Raises
    ------
    NotFound: there is none.
    """
    found = ledger.get(KIND_ENDPOINT, f"{environment}/{endpoint}", Endpoint)
    if found is None:
        raise NotFound("no such endpoint", where=f"{environment}/{endpoint}"[:200], next_step="lever status")
    return found


def owning_team(ledger: Journal, endpoint: Endpoint) -> str:
    """The team of the release that answers at ``endpoint``; empty before there was one."""
    release = ledger.get(KIND_RELEASE, endpoint.release, Release)
    return release.team if release is not None else ""
