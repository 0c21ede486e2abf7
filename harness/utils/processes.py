"""Child processes that always end: alone, on a limit or with the parent."""

import contextlib
import ctypes
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from harness.errors import HarnessError
from harness.utils.confined_worker import confine_worker
from harness.utils.confinement import Access
from harness.utils.memory import descendants, memory_of
from harness.utils.orphans import adopt_orphans, kill_descendants
from harness.utils.processor import cores, set_numeric_environment

LOG_FILE = "log.txt"
PRELOAD_VARIABLE = "HARNESS_PRELOAD"  # names of modules for the server to import, with commas
STARTS = 3  # of a child whose server ends meanwhile
POLL_SECONDS = 0.25  # seconds between measurements of a child's memory
MAX_LOG_BYTES = 100_000_000  # bytes a child may print before it is stopped

_preloaded: dict[str, None] = {}  # what this process's server of children imports, in that order
_served: set[tuple[int, str, bool]] = set()  # threads, device and crowding that the server was started with
_running: set[int] = set()  # children of the server that this process has started and not seen end
_starting = threading.RLock()  # held while a child starts: nobody takes it for an orphan


@dataclass(frozen=True)
class Limits:
    """The time and memory that one child may use."""

    timeout: float  # seconds
    memory: int  # bytes of anonymous memory, its children's included; memory maps do not count


class Processes:
    """A server that starts children with their modules already imported.

    Plain fork is not an option: a child forked after OpenMP has worked in the parent hangs in the first parallel loop.
    """

    def __init__(self, preload: tuple[str, ...], threads: int, device: str = "cpu", jobs: int = 1) -> None:
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self.threads = threads
        self._context: Any = multiprocessing.get_context(method)
        crowded = threads * jobs > cores()
        if method == "forkserver":
            _preload(self._context, preload)
            _renew_server((threads, device, crowded))
        set_numeric_environment(threads, device, crowded)
        self._read_end, self._write_end = self._context.Pipe(duplex=False)

    def warm_up(self) -> None:
        """Start the server and its imports now, before the first child."""
        if self._context.get_start_method() == "forkserver":
            with _hide_main(), _defer_interrupts():
                forkserver.ensure_running()

    def start(
        self, target: Callable[..., None], args: tuple[Any, ...], folder: Path, access: Access | None = None
    ) -> "Child":
        """Run ``target(*args)`` in a new process with an empty `folder`.

        The folder is the working directory of the child. With `access` the child is confined to it and its folder,
        where the kernel can. Where the server is killed meanwhile, another one starts it.
        """
        for attempt in range(STARTS):
            process = self._context.Process(
                target=_run_child, args=(self._read_end, str(folder), target, args, access), daemon=False
            )
            try:
                with _starting, _hide_main(), _defer_interrupts():
                    process.start()
                    _running.add(process.pid or 0)
                break
            except (EOFError, ConnectionError) as error:  # a broken pipe would be taken for that of the output
                if attempt == STARTS - 1:
                    raise HarnessError(f"no worker can be started: its server has ended {STARTS} times") from error
                forkserver._forkserver._stop()  # type: ignore[attr-defined] # it waits for the end of one that is dying
        return Child(process, folder, server=_parent_of(process.pid or 0))


@dataclass
class Child:
    """A child process and its peak memory."""

    process: BaseProcess
    folder: Path
    started: float = field(default_factory=time.monotonic)
    peak: int = 0  # largest measured bytes of anonymous memory
    end_time: float | None = None
    server: psutil.Process | None = None  # the process that it was forked from, and that adopts what it leaves behind
    _next_look: float = 0.05  # a child that ends earlier reports its memory itself

    @property
    def seconds(self) -> float:
        return (time.monotonic() if self.end_time is None else self.end_time) - self.started

    def done(self) -> bool:
        """Return True if the child has ended."""
        return not self.process.is_alive()

    def wait(self, limits: Limits, progress: Callable[[], None] = lambda: None) -> str | None:
        """Wait until the child ends; return the limit it exceeded, or None.

        `progress` is called about ten times a second. The child is gone afterwards, after an exception too.
        """
        try:
            while not (ended := wait_any([self], limits, timeout=0.1)):
                progress()
        finally:
            self.kill()
        progress()
        return ended[0][1]

    def exceeded_limit(self, limits: Limits) -> str | None:
        """Return the limit that the child has exceeded, or None."""
        if self.seconds >= self._next_look:
            self._next_look = self.seconds + POLL_SECONDS
            self.peak = max(self.peak, memory_of(self.process.pid or 0))
        if self.seconds > limits.timeout:
            return f"timeout: not done after {limits.timeout:g} s"
        if self.peak > limits.memory:
            return f"memory: used {self.peak / 2**30:.2f} GiB, the limit is {limits.memory / 2**30:.2f} GiB"
        log = self.folder / LOG_FILE
        if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
            return f"printed more than {MAX_LOG_BYTES:,} bytes"
        return None

    def kill(self) -> None:
        """Kill the child and its descendants, those in other sessions too.

        On Linux also those that were forked twice, or whose parent has ended: the server has adopted them.
        """
        for process in [] if self.done() else descendants(self.process.pid):  # a child that has ended has none
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.process.pid:  # 0 would be our own group
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        with _starting:
            _running.discard(self.process.pid or 0)
            if self.server is not None and self.server.is_running():  # no other process of its number
                kill_descendants(self.server.pid, spare=_running)
        self.end_time = self.end_time or time.monotonic()

    def describe_exit(self) -> str:
        """Return how a child without an answer has ended."""
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"crashed: {signal.Signals(-code).name}"
        return f"ended without an answer (exit code {code})"


def wait_any(children: Iterable[Child], limits: Limits, timeout: float) -> list[tuple[Child, str | None]]:
    """Wait up to `timeout` seconds; return the children that ended, killed.

    Each comes with the limit that it passed, or None where it ended by itself.
    """
    running = list(children)
    if running:
        wait([child.process.sentinel for child in running], timeout)
    ended = []
    for child in running:
        limit = None if child.done() else child.exceeded_limit(limits)
        if limit is not None or child.done():
            child.kill()
            ended.append((child, limit))
    return ended


def _preload(context: Any, modules: Iterable[str]) -> None:
    """Let the server import `modules` too, besides earlier ones.

    A server that runs without them ends, and the next child starts another: else every child would import them itself,
    such as each network of a list of suites torch, in 3 s, where the first suite has no network.
    """
    if not _preloaded.keys() >= set(modules):
        _preloaded.update(dict.fromkeys(modules))
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
    # Not by name: the server of multiprocessing ends where a module raises anything but ImportError.
    os.environ[PRELOAD_VARIABLE] = ",".join(_preloaded)
    context.set_forkserver_preload(["harness.utils.worker_server"])


def _renew_server(settings: tuple[int, str, bool]) -> None:
    """End a server that was started with other numeric settings.

    Its children have its environment. A command has one run, or runs alike; a notebook may change its mind.
    """
    if _served and settings not in _served:
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
        _served.clear()
    _served.add(settings)


@contextlib.contextmanager
def _defer_interrupts() -> Iterator[None]:
    """Handle interrupts of this process when a child has started.

    A child whose start is cut off would print a traceback. So would a worker that an interrupt of the whole group
    reaches in its first lines: it inherits a mask.
    """
    resource_tracker.ensure_running()  # it lets interrupts through again when it starts
    deferred: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # where handlers run, whichever thread a signal reaches
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
        for number in handlers:
            signal.signal(number, lambda number, _: deferred.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if deferred:
            signal.raise_signal(deferred[0])


@contextlib.contextmanager
def _hide_main() -> Iterator[None]:
    """Prevent children from importing the main program."""
    main: dict[str, Any] = sys.modules["__main__"].__dict__
    kept: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(kept)


def _run_child(
    alive: Connection, folder: str, target: Callable[..., None], args: tuple[Any, ...], access: Access | None
) -> None:
    os.setsid()
    adopt_orphans()
    _forget_server()
    log = os.open(os.path.join(folder, LOG_FILE), os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # noqa: PTH118
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = open(1, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
    faulthandler.enable(sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(folder)
    if access is not None:
        confine_worker(access, folder)
    _die_with_parent(alive)  # it starts a thread; the kernel confines the thread that asks for it, and later ones
    target(*args)
    for left_over in multiprocessing.active_children():  # Python would wait for them, such as for joblib's idle pool
        with contextlib.suppress(ProcessLookupError):
            os.kill(left_over.pid or 0, signal.SIGKILL)


def _parent_of(pid: int) -> psutil.Process | None:
    """Return the parent of a process if it is another than this one."""
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid).parent()
        return parent if parent is not None and parent.pid not in (1, os.getpid()) else None
    return None


def _forget_server() -> None:
    """Let a child that starts processes by a server start one of its own.

    They would not be its descendants. It also lets go of the pipe by which the server sees that its user has ended.
    """
    server: Any = forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        with contextlib.suppress(OSError):
            os.close(server._forkserver_alive_fd)
    server._forkserver_address = server._forkserver_alive_fd = server._forkserver_pid = None


def _die_with_parent(alive: Connection) -> None:
    """Kill this process when its parent ends, however that happens.

    The signal of the kernel reaches even a child that is stuck in C code.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)

    def wait() -> None:
        with contextlib.suppress(EOFError, OSError):
            alive.recv_bytes()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
