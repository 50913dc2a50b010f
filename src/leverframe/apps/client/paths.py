"""Paths of the API, with names quoted."""

from urllib.parse import quote

API = "/api/v1"


def path_of(*parts: str) -> str:
    """The path of the thing that ``parts`` name.

    >>> path_of("versions", "flight-delay@v2")
    '/api/v1/versions/flight-delay@v2'
    """
    return "/".join((API, *(quote(part, safe="@:") for part in parts)))
