"""Confine a process: what it may read, write and reach, by the kernel.

Landlock (Linux 5.13) limits files, and with later versions signals, TCP and abstract sockets; a seccomp filter forbids
new sockets. Neither needs any right. Both hold for every child of the process, and cannot be taken back.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_REG = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # rights that a rule on a file may have
ABI_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}  # first version -> all rights
NETWORK, SCOPES = 0b11, 0b11  # bind and connect TCP (version 4); abstract sockets and signals (version 6)
SHARED_MEMORY = Path("/dev/shm")  # of semaphores
# What is in /proc/PID of another process that is worth reading needs the right to trace it, which Landlock takes away.
SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/nix", "/proc", "/sys")
MODULE_SUFFIXES = (".py", ".pyc", ".so")
DEVICE_FILES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_SECCOMP_CALLS = {"x86_64": (0xC000003E, 317, 41), "aarch64": (0xC00000B7, 277, 198)}  # architecture, seccomp, socket
_IO_URING_SETUP, _X32 = 425, 0x40000000  # another way to a socket; calls of the x32 ABI have other numbers


@dataclass(frozen=True)
class Access:
    """The files that a confined process may use, by absolute paths.

    A folder stands for everything in it.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    network: bool = False


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


@cache
def landlock_version() -> int:
    """Return the kernel's version of Landlock, 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, 1)))


def can_forbid_sockets() -> bool:
    """Return True where a seccomp filter for sockets is written here."""
    return sys.platform == "linux" and platform.machine() in _SECCOMP_CALLS


def describe_confinement() -> str:
    """Return what workers are kept from on this machine, in one phrase."""
    if landlock_version() == 0:
        return "not confined (no Landlock: Linux 5.13 or later)"
    network = "no socket" if can_forbid_sockets() else "no TCP" if landlock_version() >= 4 else "network open"
    return f"confined (Landlock {landlock_version()}, {network})"


def confine(access: Access) -> None:
    """Confine this process and its later children; nothing without Landlock.

    Call it before the process has a second thread. OSError if the kernel refuses.
    """
    version = landlock_version()
    if version == 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    rights = max(number for first, number in ABI_RIGHTS.items() if first <= version)
    network = 0 if access.network or version < 4 else NETWORK
    ruleset = _Ruleset(rights, network, SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    handle = _check(libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), size, 0))
    try:
        for path in (*SYSTEM_FOLDERS, *_code_folders(), *access.reads):
            _allow(libc, handle, path, READ & rights)
        for path in access.writes:
            _allow(libc, handle, path, rights)
        for path in (*DEVICE_FILES, *_gpu_files()):
            _allow(libc, handle, path, (READ_FILE | WRITE_FILE | IOCTL_DEV) & rights)
        # Semaphores have random names there, and without READ_DIR nobody can list those of others.
        _allow(libc, handle, str(SHARED_MEMORY), (READ_FILE | WRITE_FILE | MAKE_REG | REMOVE_FILE | TRUNCATE) & rights)
        _check(libc.prctl(38, 1, 0, 0, 0))  # PR_SET_NO_NEW_PRIVS, which both calls below ask for
        _check(libc.syscall(_RESTRICT_SELF, handle, 0))
    finally:
        os.close(handle)
    if not access.network and can_forbid_sockets():
        _forbid_sockets(libc)


def _allow(libc: ctypes.CDLL, handle: int, path: str, rights: int) -> None:
    """Add a rule for a path; a path that is not there needs none."""
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not Path(path).is_dir():
            rights &= OF_FILES
        _check(libc.syscall(_ADD_RULE, handle, 1, ctypes.byref(_PathBeneath(rights, parent)), 0))
    finally:
        os.close(parent)


def _code_folders() -> Iterator[str]:
    """Yield the folders of Python and of what is installed.

    Of a folder of modules outside of both, such as a checkout that is installed in place, only the modules and
    packages: it may hold data as well.
    """
    prefixes = list(dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix)))
    yield from prefixes
    for path in map(Path, filter(None, sys.path)):
        if any(path.is_relative_to(prefix) for prefix in (*prefixes, *SYSTEM_FOLDERS)):
            continue
        if path.is_file() or any(path.glob("*.dist-info")):  # a zip file, or a folder that pip has filled
            yield str(path)
        elif path.is_dir():
            entries = list(path.iterdir())
            yield from (str(entry) for entry in entries if entry.suffix in MODULE_SUFFIXES)
            yield from (str(entry) for entry in entries if (entry / "__init__.py").is_file())


def _gpu_files() -> list[str]:
    return [str(path) for pattern in ("nvidia*", "dri", "kfd") for path in Path("/dev").glob(pattern)]


def _forbid_sockets(libc: ctypes.CDLL) -> None:
    """Let socket() fail with EACCES; pairs of connected sockets stay allowed.

    So do calls of another architecture and io_uring, by which a socket could be had as well.
    """
    architecture, seccomp, socket = _SECCOMP_CALLS[platform.machine()]
    load, jump_equal, jump_greater_or_equal, finish = 0x20, 0x15, 0x35, 0x06
    allow, deny = 0x7FFF0000, 0x00050000 | errno.EACCES
    instructions = [
        (load, 0, 0, 4),  # the architecture
        (jump_equal, 0, 4, architecture),
        (load, 0, 0, 0),  # the number of the call
        (jump_greater_or_equal, 2, 0, _X32),
        (jump_equal, 1, 0, socket),
        (jump_equal, 0, 1, _IO_URING_SETUP),
        (finish, 0, 0, deny),
        (finish, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in instructions))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(code)))
    set_mode_filter = 1
    _check(libc.syscall(seccomp, set_mode_filter, 0, program))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel refused to confine a worker: {os.strerror(number)}")
    return result
