"""The system calls that a locked-down process may not make. Standard library only: runs in the child.

No socket is made or connected, no process or program started, nobody else signalled or traced, no file's owner, mode or times changed, no
memory kept outside the address space limit, no limit or parent-death signal taken back. Refused calls fail with EPERM, so that libraries
which merely probe go on. Source: seccomp(2), ``linux/filter.h``, ``asm/unistd.h`` of x86-64 and the generic table of arm64.
"""

import ctypes
import os
import platform
import struct

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_CLONE_THREAD = 0x00010000
_PR_SET_PDEATHSIG = 1
_X32 = 0x40000000

# Shared by every architecture: calls added since Linux 5.1.
# pidfd_send_signal, io_uring ×3, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, pidfd_open, pidfd_getfd, mount_setattr,
# memfd_secret, fchmodat2, setxattrat, removexattrat
_RECENT = (424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 442, 447, 452, 463, 466)
_CLONE3 = 435


class Architecture:
    """Numbers of one machine: the audit name, the calls refused outright, and those whose arguments decide."""

    def __init__(self, audit: int, refused: tuple[int, ...], **by_argument: int) -> None:
        self.audit = audit
        self.refused = refused + _RECENT
        self.by_argument = by_argument


# fmt: off
ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, (
        41, 42, 43, 49, 50, 288,  # socket, connect, accept, bind, listen, accept4
        57, 58, 59, 322,  # fork, vfork, execve, execveat
        29, 64, 68, 240, 319,  # shmget, semget, msgget, mq_open, memfd_create
        101, 310, 311, 312,  # ptrace, process_vm_readv, process_vm_writev, kcmp
        129, 200, 297,  # rt_sigqueueinfo, tkill, rt_tgsigqueueinfo
        76, 90, 91, 92, 93, 94, 133, 259, 260, 268,  # truncate, chmod, fchmod, chown, fchown, lchown, mknod, mknodat, fchownat, fchmodat
        132, 235, 261, 280,  # utime, utimes, futimesat, utimensat
        188, 189, 190, 197, 198, 199,  # setxattr and removexattr
        155, 161, 165, 166, 167, 168, 169, 272, 308,  # pivot_root, chroot, mount, umount2, swapon, swapoff, reboot, unshare, setns
        175, 246, 313, 298, 321, 323,  # init_module, kexec_load, finit_module, perf_event_open, bpf, userfaultfd
        248, 249, 250, 253, 294, 300, 303, 304,  # keys, inotify, fanotify_init, file handles
        160,  # setrlimit
    ), clone=56, kill=62, tgkill=234, prctl=157, prlimit64=302),
    "aarch64": Architecture(0xC00000B7, (
        198, 203, 202, 200, 201, 242,
        221, 281,
        194, 190, 186, 180, 279,
        117, 270, 271, 272,
        138, 130, 240,
        45, 52, 53, 54, 55, 33,
        88,
        5, 6, 7, 14, 15, 16,
        41, 51, 40, 39, 224, 225, 142, 97, 268,
        105, 104, 273, 241, 280, 282,
        217, 218, 219, 26, 262, 264, 265,
        164,
    ), clone=220, kill=129, tgkill=131, prctl=167, prlimit64=261),
}
# fmt: on


def program(machine: str, pid: int) -> bytes:
    """The filter for ``machine`` as classic BPF; ``pid`` is the only process that may be signalled.

    >>> len(program("x86_64", 1)) % 8
    0
    """
    table = ARCHITECTURES[machine]
    code = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, table.audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    code += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for number in table.refused:
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    numbers = table.by_argument
    # A thread is allowed, a process is not; glibc comes here after clone3 was said not to exist.
    code += _decided(numbers["clone"], 0, (_ANY_BIT, 1, 0, _CLONE_THREAD))
    for name in ("kill", "tgkill"):
        code += _decided(numbers[name], 0, (_EQUAL, 1, 0, pid))
    code += _decided(numbers["prctl"], 0, (_EQUAL, 0, 1, _PR_SET_PDEATHSIG))
    # The new limits are a pointer: both its halves must be null.
    code += _decided(numbers["prlimit64"], 2, (_EQUAL, 1, 0, 0), low_and_high=True)
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _decided(number: int, argument: int, test: tuple[int, int, int, int], *, low_and_high: bool = False) -> list[tuple[int, int, int, int]]:
    """Refuse call ``number`` unless ``test`` of its argument jumps over the refusal; the number is loaded again afterwards."""
    body: list[tuple[int, int, int, int]] = []
    for half in (0, 4) if low_and_high else (0,):
        body += [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument + half), test, (_RETURN, 0, 0, _ERRNO | _EPERM)]
    return [(_EQUAL, 0, len(body), number), *body, (_LOAD, 0, 0, _NUMBER)]


def install(libc: "ctypes.CDLL") -> None:
    """Hold this process (``no_new_privs`` is set) to the filter from here on.

    Raises
    ------
    OSError: the kernel does not take the filter, or the machine is not one whose numbers are known.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise OSError(f"no table of system calls for {machine}")
    code = program(machine, os.getpid())
    kept = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(kept)))
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.c_void_p(ctypes.addressof(header)), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp filter refused")
