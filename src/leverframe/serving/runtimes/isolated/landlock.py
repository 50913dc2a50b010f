"""What a locked-down child may open: its environment and model to read, its own folder to write. Standard library only: runs in the child.

Source: Linux ``Documentation/userspace-api/landlock.rst`` (system calls 444 to 446 on every architecture).
"""

import ctypes
import os
import struct
from collections.abc import Iterable
from contextlib import suppress

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
# Rights a file can have; the others are a folder's.
_OF_FILES = _WRITE_FILE | _READ_FILE | _TRUNCATE
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP = 0b11
_SCOPES = 0b11

READ = _READ_FILE | _READ_DIR
WRITE = READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_FILE | _REFER | _TRUNCATE
DEVICE = _READ_FILE | _WRITE_FILE | _TRUNCATE


def restrict(libc: "ctypes.CDLL", rules: Iterable[tuple[str, int]]) -> int:
    """Hold this process (``no_new_privs`` is set) to ``rules``: path and rights; paths that are not there are left out. Returns the ABI.

    Nothing may be executed, no TCP port bound or connected to (ABI 4), no process outside signalled (ABI 6).

    Raises
    ------
    OSError: the kernel has no Landlock, or refuses.
    """
    abi = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    if abi < 1:
        raise OSError(ctypes.get_errno(), "the kernel has no Landlock (Linux 5.13 with the LSM enabled is needed)")
    handled = (1 << _RIGHTS_BY_ABI.get(abi, 16)) - 1
    attributes = struct.pack("<QQQ", handled, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = libc.syscall(_CREATE, ctypes.create_string_buffer(attributes, 24), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock ruleset refused")
    try:
        for path, rights in rules:
            with suppress(FileNotFoundError, NotADirectoryError):
                _allow(libc, ruleset, path, rights & handled)
        if libc.syscall(_RESTRICT, ruleset, ctypes.c_uint32(0)):
            raise OSError(ctypes.get_errno(), "Landlock refused")
    finally:
        os.close(ruleset)
    return int(abi)


def _allow(libc: "ctypes.CDLL", ruleset: int, path: str, rights: int) -> None:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("<Qi", rights, opened), 12)
        if libc.syscall(_ADD, ruleset, _PATH_BENEATH, rule, ctypes.c_uint32(0)):
            raise OSError(ctypes.get_errno(), f"Landlock rule refused for {path}")
    finally:
        os.close(opened)
