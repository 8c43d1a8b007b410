"""Interruptions that wait for a moment at which the state is whole."""

__all__ = ["HeldSignals"]

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class HeldSignals:
    """Let SIGINT and SIGTERM wait until an update is whole; a second one does not wait."""

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.waiting = False
        self.received: int | None = None

    def __enter__(self) -> "HeldSignals":
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self.before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            if signal.getsignal(number) == self._receive:  # a run started later may still hold it
                signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False
        if self.received is not None:
            self._deliver(self.received)

    def _receive(self, number: int, _frame: object) -> None:
        if self.waiting and self.received is None:
            self.received = number
        else:
            self._deliver(number)

    def _deliver(self, number: int) -> None:
        self.received = None
        handler = self.before[number]
        if callable(handler):
            handler(number, None)
        else:  # the default would end the process without clean-up
            raise SystemExit(128 + number)
