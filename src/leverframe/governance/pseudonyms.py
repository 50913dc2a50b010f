"""Keyed hashes of personal values: the same value gives the same pseudonym in this installation, and nowhere else.

Source: HMAC (RFC 2104) with SHA-256; decision 0027. Without the key a pseudonym cannot be tried against guessed values.
"""

import hashlib
import hmac
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from leverframe.core.errors import Integrity, Refused
from leverframe.governance.durable_files import make_folder, unavailable, write_durably

KEY_FILE = "personal.key"
KEY_BYTES = 32
_VALUE, _SUBJECT = b"value\0", b"subject\0"


class Pseudonyms:
    """Hashes under one key.

    >>> Pseudonyms(b"k" * 32).of("ann") == Pseudonyms(b"k" * 32).of("ann")
    True
    """

    def __init__(self, key: bytes) -> None:
        self._value = hmac.new(key, _VALUE, hashlib.sha256)
        self._subject = hmac.new(key, _SUBJECT, hashlib.sha256)

    def of(self, value: str) -> bytes:
        """The 32 bytes stored in place of ``value``."""
        return _digest(self._value, value)

    def subject(self, value: str) -> str:
        """What the ledger calls the person whose key ``value`` is: hex, of another family than what is stored with the rows."""
        return _digest(self._subject, value).hex()


def _digest(started: hmac.HMAC, value: str) -> bytes:
    going = started.copy()
    going.update(value.encode())
    return going.digest()


def load_or_create(folder: Path) -> Pseudonyms:
    """The pseudonyms of the installation whose keys are in ``folder``; the key is made when there is none yet.

    Raises
    ------
    Refused: the key file can be read by anyone but its owner.  Integrity: it is not a key.  Unavailable: it cannot be read.
    """
    path = folder / KEY_FILE
    try:
        make_folder(folder)
        if not path.exists():
            # When another process makes it between our look and our write, its key is the key.
            with suppress(FileExistsError):
                write_durably(path, secrets.token_bytes(KEY_BYTES), mode=0o600, replace=False)
        mode, key = stat.S_IMODE(os.stat(path).st_mode), path.read_bytes()
    except OSError as error:
        raise unavailable(error, path.name) from error
    if mode & 0o077:
        raise Refused(
            "the key of personal values can be read by others",
            where=path.name,
            expected="mode 0600",
            got=f"mode {mode:04o}",
            next_step=f"chmod 600 {path}",
        )
    if len(key) != KEY_BYTES:
        raise Integrity("not a key of personal values", where=path.name, expected=f"{KEY_BYTES} bytes", got=str(len(key)))
    return Pseudonyms(key)
