"""A registered source: where rows are fetched from. A team declares it, the operator's settings bound it, whoever asks only names it."""

import posixpath
import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from leverframe.core.errors import Fault, InvalidInput, Refused

KIND_SOURCE = "source"
SourceKind = Literal["objects", "postgresql", "spark"]

NAME = re.compile(r"[a-z][a-z0-9_.-]{0,99}")
SECRET = re.compile(r"LEVER_SOURCE_[A-Z0-9_]{1,60}")
TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62}){0,2}")
COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
QUERY_CHARACTERS_MAX = 4_000
_SCHEMES = {"objects": ("s3", "gs", "az", "file"), "postgresql": ("postgresql",), "spark": ("spark",)}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows of ``team`` are fetched from.

    ``location`` is ``s3://bucket/prefix`` (``gs://``, ``az://``, ``file:///folder``), ``postgresql://user@host:port/database`` or
    ``spark://catalog``; it carries no password. ``secret`` names the environment variable that does: a password, or ``key:secret`` of an
    object store. ``table``, or a declared ``query``, is what is read; ``watermark`` a column that only grows, by which new rows are known.
    ``endpoint`` and ``region`` are an object store's.
    """

    name: str
    kind: SourceKind
    team: str
    location: str
    table: str = ""
    query: str = ""
    watermark: str = ""
    secret: str = ""
    endpoint: str = ""
    region: str = ""


def check_source(source: Source) -> None:
    """Raise InvalidInput with every fault of a declaration."""
    parts = urlsplit(source.location)
    wrong: list[Fault] = []

    def expect(holds: bool, where: str, expected: str, got: str) -> None:
        if not holds:
            wrong.append(Fault(where=where, what="cannot be used", expected=expected, got=got[:120]))

    expect(bool(NAME.fullmatch(source.name)), "name", "lower-case letters, digits, _ . -", source.name)
    expect(bool(source.team), "team", "the owning team", source.team)
    expect(parts.scheme in _SCHEMES[source.kind], "location", " or ".join(f"{s}://" for s in _SCHEMES[source.kind]), parts.scheme)
    expect(parts.password is None, "location", "no password: name an environment variable as secret", "one with a password")
    expect(_plain(source.location), "location", "no '..', '%', '#' or control characters", "one with them")
    expect(not source.secret or bool(SECRET.fullmatch(source.secret)), "secret", "a variable named LEVER_SOURCE_…", source.secret)
    expect(not source.watermark or bool(COLUMN.fullmatch(source.watermark)), "watermark", "a column name", source.watermark)
    if source.kind == "objects":
        expect(not source.table and not source.query, "table", "none: objects are named when they are read", source.table)
        expect(not source.endpoint or source.endpoint.startswith(("https://", "http://")), "endpoint", "https://host", source.endpoint)
        expect(not source.watermark, "watermark", "none: objects are known by their stamps", source.watermark)
    else:
        given = bool(source.table) + bool(source.query)
        expect(given == 1, "table", "a table or a query", "both" if given else "neither")
        expect(not source.table or bool(TABLE.fullmatch(source.table)), "table", "[schema.]table", source.table)
        expect(len(source.query) <= QUERY_CHARACTERS_MAX and ";" not in source.query, "query", "one SELECT without ';'", "another")
        expect(source.kind != "spark" or not source.query, "query", "none: Spark tables are read by name", "a query")
        expect(not source.endpoint, "endpoint", "none", source.endpoint)
    if wrong:
        raise InvalidInput(f"the source has {len(wrong)} faults", where=f"source {source.name[:100]}", faults=wrong)


def _plain(location: str) -> bool:
    return location.isprintable() and not any(sign in location for sign in ("..", "%", "#", "\\")) and len(location) <= 1_000


def check_allowed(source: Source, allowed: Sequence[str]) -> None:
    """Raise Refused unless the operator's settings allow this location, and this endpoint.

    >>> check_allowed(Source(name="a", kind="objects", team="t", location="s3://rows/day"), ["s3://rows"])
    """
    for where, asked in (("location", _bare(source.location)), ("endpoint", source.endpoint)):
        if asked and not any(_within(asked, _bare(each)) for each in allowed):
            raise Refused(
                f"the operator's settings allow no source with this {where}",
                where=f"source {source.name}",
                expected=f"within one of {len(allowed)} allowed places",
                got=asked[:200],
                next_step="ask an operator to add it to LEVER_SOURCES_ALLOWED",
            )


def _bare(location: str) -> str:
    """Without user, without a trailing slash, in one spelling."""
    parts = urlsplit(location)
    path = posixpath.normpath(parts.path) if parts.path else ""
    host = parts.netloc.rpartition("@")[2].lower() if parts.scheme != "file" else ""
    bare = f"{parts.scheme}://{host}{'' if path in ('/', '.') else path}"
    return f"{bare}?{parts.query}" if parts.query else bare


def _within(asked: str, allowed: str) -> bool:
    return asked == allowed or asked.startswith(f"{allowed}/")
