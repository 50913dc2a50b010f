"""Where something may be sent: URLs that say exactly one thing, and hosts that the operator listed."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from leverframe.core.errors import Forbidden, InvalidInput

URL_CHARS_MAX = 2_048
ALLOWED_MAX = 200

# RFC 3986's characters, less those that readers of URLs disagree about.
_PLAIN = re.compile(r"[A-Za-z0-9\-._~:/?\[\]!$&'()*+,;=%]+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PORTS = {"https": 443, "http": 80}


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed address: ``host`` in lower case (an IPv6 address without brackets), ``target`` is path and query."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """``host[:port]`` as a Host header says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """The address without its path, which may be a secret in itself."""
        return f"{self.scheme}://{self.authority}/…"


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the operator's list. ``host`` may begin with ``*.``: any name below it, not itself."""

    scheme: str
    host: str
    port: int

    def holds(self, destination: Destination) -> bool:
        """Whether ``destination`` is one of those meant."""
        below = self.host.startswith("*.") and destination.host.endswith(self.host[1:])
        return (self.scheme, self.port) == (destination.scheme, destination.port) and (below or self.host == destination.host)


def parse_destination(url: str) -> Destination:
    """``url`` as a destination.

    >>> parse_destination("https://Hooks.example.com/in?a=1").authority
    'hooks.example.com'

    Raises
    ------
    InvalidInput: it is no http(s) address, or one that two readers could read differently: credentials before the host, numbers that are
        no plain IP address, characters outside RFC 3986, a fragment.
    """
    if not 0 < len(url) <= URL_CHARS_MAX or not _PLAIN.fullmatch(url):
        raise _refused("not a plain address", f"https://host/path of at most {URL_CHARS_MAX} plain characters, no '@', '#' or '\\'")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").lower()
    except ValueError as error:
        raise _refused("not an address", "https://host[:port]/path") from error
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not url[len(scheme) :].startswith("://") or port == 0:
        raise _refused("not an address of HTTP", "https://host[:port]/path")
    _check_host(host)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(scheme=scheme, host=host, port=port or _PORTS[scheme], target=target)  # type: ignore[arg-type]


def parse_allowed(entries: str) -> tuple[Allowed, ...]:
    """The operator's list: ``hooks.example.com, *.example.org:8443, http://127.0.0.1:5000``; without a scheme it is HTTPS.

    Raises
    ------
    InvalidInput: an entry is no host.
    """
    found = []
    for entry in (part.strip() for part in entries.split(",")):
        if entry:
            wild = "*." in entry
            read = parse_destination((entry if "://" in entry else f"https://{entry}").replace("*.", "", 1))
            if read.target != "/":
                raise _refused("an entry of the list of hosts is a host", "host, host:port, *.host or http://host:port")
            found.append(Allowed(scheme=read.scheme, host=f"*.{read.host}" if wild else read.host, port=read.port))
    if len(found) > ALLOWED_MAX:
        raise _refused("the list of hosts is too long", f"at most {ALLOWED_MAX} entries")
    return tuple(found)


def check_allowed(destination: Destination, allowed: Iterable[Allowed]) -> Destination:
    """Return ``destination`` if the operator listed it.

    Raises
    ------
    Forbidden: nothing may be sent there.
    """
    if any(entry.holds(destination) for entry in allowed):
        return destination
    raise Forbidden(
        "the operator's list of hosts does not name this one",
        where=destination.shown,
        expected="a host of LEVER_EGRESS_HOSTS",
        got=f"{destination.scheme}://{destination.authority}",
        next_step=f"ask the platform's operator to add {destination.authority} to LEVER_EGRESS_HOSTS",
    )


def _check_host(host: str) -> None:
    if "%" in host:
        raise _refused("an address with a zone says which network card, not which host", "an address without %")
    if ":" in host or re.fullmatch(r"[0-9.]+|.*\.?0x[0-9a-f]*|.*\.[0-9]+", host):
        # Readers disagree about 127.1, 0x7f.1 and 2130706433: an address is written in full or not at all.
        try:
            ipaddress.ip_address(host)
        except ValueError as error:
            raise _refused("not an IP address in its usual form", "four decimal numbers, or an IPv6 address in brackets") from error
        return
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise _refused("not a host name", "letters, digits and hyphens between dots; other alphabets as xn--…")


def _refused(what: str, expected: str) -> InvalidInput:
    # The address itself is not repeated: it may hold a secret.
    return InvalidInput(what, where="url", expected=expected, got="another form")
