"""Everything a child gives up before it reads one byte of a model, and the proof that it is gone. Standard library only: runs in the child.

All of it works without privileges; none of it can be taken back. A lock that cannot be had ends the start: there is no weaker way.
"""

import ctypes
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION = 0x20080522

# What every Python needs to read beside its own prefix: the system's libraries, time zones, and what the machine looks like.
SYSTEM_READ = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime",
    "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class NotLocked(Exception):
    """A lock that could not be had."""


def lock(config: dict[str, Any], landlock: Any, seccomp: Any) -> list[str]:
    """Lock this process, and try every lock; returns what holds.

    Parameters
    ----------
    config: ``parent`` (process id), ``read`` (folders), ``write`` (one folder), ``memory_bytes``, ``open_files``, ``file_bytes``.
    landlock, seccomp: the modules of these names.

    Raises
    ------
    NotLocked: with the reason.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        _limit(config)
        _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != config["parent"]:
            raise NotLocked("the gateway is gone")
        _drop_capabilities(libc)
        _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
        reads = (*SYSTEM_READ, sys.prefix, sys.base_prefix, *config["read"])
        rules = [*((path, landlock.READ) for path in reads), *((path, landlock.DEVICE) for path in DEVICES)]
        abi = landlock.restrict(libc, [*rules, (config["write"], landlock.WRITE)])
        seccomp.install(libc)
    except (OSError, ValueError, KeyError) as error:
        raise NotLocked(f"{type(error).__name__}: {error}") from error
    _prove()
    return ["limits", "parent death", "no capabilities", "no new privileges", f"landlock ABI {abi}", "seccomp"]


def _limit(config: dict[str, Any]) -> None:
    wanted = {
        resource.RLIMIT_AS: config["memory_bytes"],
        resource.RLIMIT_NOFILE: config["open_files"],
        resource.RLIMIT_FSIZE: config["file_bytes"],
        resource.RLIMIT_CORE: 0,
    }
    for which, value in wanted.items():
        resource.setrlimit(which, (value, value))
    os.umask(0o077)


def _prctl(libc: "ctypes.CDLL", option: int, value: int) -> None:
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option} refused")


def _drop_capabilities(libc: "ctypes.CDLL") -> None:
    """Give up every capability, root's too."""
    header = ctypes.create_string_buffer(struct.pack("<Ii", _CAPABILITY_VERSION, 0), 8)
    none = ctypes.create_string_buffer(24)
    if libc.syscall(_CAPSET[os.uname().machine], header, none):
        raise OSError(ctypes.get_errno(), "capabilities are kept")


def _prove() -> None:
    """Try what must not work."""
    attempts: dict[str, Callable[[], object]] = {
        "a network socket": lambda: socket.socket(socket.AF_INET),
        "a local socket": lambda: socket.socket(socket.AF_UNIX),
        "a new process": _fork,
        "another program": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),  # noqa: S606 - must be refused
        "a file outside": lambda: os.close(os.open("/proc/self/status", os.O_RDONLY)),
        "writing to a program": lambda: os.close(os.open(os.path.realpath(__file__), os.O_WRONLY)),
        "a signal to the gateway": lambda: os.kill(os.getppid(), 0),
        "a higher limit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except (PermissionError, ValueError):  # resource says ValueError for "not permitted"
            continue
        except OSError as error:
            raise NotLocked(f"{name} was not refused but failed: {error}") from error
        raise NotLocked(f"{name} was not refused")


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
