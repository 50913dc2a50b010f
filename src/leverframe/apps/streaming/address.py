"""Where messages come from and go to, as one URL: ``nats://host:4222/SUBJECT``, ``redis://host:6379/[DB/]STREAM``,
``kafka://host:9092/TOPIC``.
"""

from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from leverframe.core.errors import InvalidInput

PORTS = {"nats": 4222, "redis": 6379, "rediss": 6379, "kafka": 9092}
URL_CHARS_MAX = 2000
"""A longer address is refused."""
FROM_FILE = "@"


class Address(msgspec.Struct, frozen=True):
    """A broker and a name on it. ``server`` may carry credentials; ``shown`` never does."""

    kind: str
    server: str
    name: str
    shown: str

    def named(self, name: str) -> "Address":
        """Another name on the same broker."""
        return msgspec.structs.replace(self, name=name, shown=f"{self.shown.rpartition('/')[0]}/{name}")


def read_address(text: str) -> Address:
    """The address in ``text``, or in the file that ``@FILE`` names (so that credentials need not be on a command line).

    >>> read_address("redis://127.0.0.1:6379/2/rows")
    Address(kind='redis', server='redis://127.0.0.1:6379/2', name='rows', shown='redis://127.0.0.1:6379/rows')
    >>> read_address("kafka://a:9092,b:9092/rows").server
    'a:9092,b:9092'

    Raises
    ------
    InvalidInput: another scheme, or no host or name.
    """
    if text.startswith(FROM_FILE):
        try:
            text = Path(text[1:]).read_text().strip()
        except OSError as error:
            raise InvalidInput("the file with the address cannot be read", where=text[:200], got=str(error)[:200]) from error
    try:
        parts = urlsplit(text[:URL_CHARS_MAX])
    except ValueError as error:
        raise _wrong("an address that cannot be read") from error
    *base, name = parts.path.strip("/").split("/")
    hosts = parts.netloc.rpartition("@")[2]
    if parts.scheme not in PORTS or not hosts or not name or len(text) > URL_CHARS_MAX or len(base) > (1 if parts.scheme == "redis" else 0):
        raise _wrong(f"{parts.scheme or 'no scheme'}://{hosts}{parts.path}"[:200])
    shown = f"{parts.scheme}://{hosts}/{name}"
    if parts.scheme == "kafka":
        if "@" in parts.netloc:
            raise _wrong("kafka:// with credentials, which are not served")
        return Address("kafka", hosts, name, shown)
    server = f"{parts.scheme}://{parts.netloc}" + (f"/{base[0]}" if base else "")
    return Address("redis" if parts.scheme == "rediss" else parts.scheme, server, name, shown)


def _wrong(got: str) -> InvalidInput:
    return InvalidInput(
        "not an address of a stream",
        where="--from, --to or --dead",
        expected="nats://HOST:PORT/SUBJECT, redis://HOST:PORT/[DB/]STREAM or kafka://HOST:PORT/TOPIC, or @FILE with one",
        got=got,
    )
