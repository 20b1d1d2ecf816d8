"""Ctrl-C and its like: noted while runs are trained, so that no exception cuts a ledger line."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

EXIT_CODE = 130
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_FAREWELL = b"\x1b[?25h\nbench: interrupted twice, stopped at once\n"
_PLAIN_FAREWELL = b"bench: interrupted twice, stopped at once\n"


class Interruption:
    """Heeds SIGINT, SIGTERM and SIGHUP while it is a context, unless they were ignored before it.

    Before `defer` an interruption is a KeyboardInterrupt. After it the first is only noted, in
    `requested`; the second ends the process at once with code 130, though never inside `shield`,
    whose end it waits for. A third does not wait.
    """

    def __init__(self, stop: Callable[[], NoReturn] | None = None) -> None:
        """Stop by `stop` at the second interruption, where ending the process is not ours to do."""
        self.requested = False
        self._stop = stop or _stop_at_once
        self._deferred, self._shielded, self._count = False, False, 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def defer(self) -> None:
        """From here on there is something to lose: note the first interruption, do not raise."""
        self._deferred = True

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Let a ledger line be finished before a second interruption ends the process."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
            if self._count > 1:
                self._stop()

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        if not self._deferred:
            raise KeyboardInterrupt
        self.requested = True
        self._count += 1
        if self._count > (2 if self._shielded else 1):
            self._stop()


def _stop_at_once() -> NoReturn:
    os.write(2, _FAREWELL if os.isatty(2) else _PLAIN_FAREWELL)
    os._exit(EXIT_CODE)  # workers end with this process: see bench/executors/processes.py


@contextmanager
def hold_signals() -> Iterator[None]:
    """Start processes that are deaf to what a terminal sends to all: their parent decides."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
