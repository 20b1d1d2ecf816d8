"""How workers tell the driver what they do: in batches, through one actor beside the driver.

The actor keeps bytes and knows nothing of what is in them, so that its process needs no torch.
"""

from __future__ import annotations

import pickle
import threading
import time
from typing import Any

PAUSE_SECONDS = 0.5
"""How long a worker gathers reports before it sends them: two messages a second at most."""


class Mailbox:
    """Keeps what workers send until the driver takes it; a Ray actor."""

    def __init__(self) -> None:
        self._letters: list[bytes] = []

    def put(self, letter: bytes) -> None:
        """Keep a letter."""
        self._letters.append(letter)

    def take(self) -> list[bytes]:
        """Return all letters since the last time."""
        letters, self._letters = self._letters, []
        return letters


class Sender:
    """Sends reports to a mailbox from a thread of its own: training does not wait for it."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._reports: list[Any] = []
        self._wake = threading.Event()
        threading.Thread(target=self._send, daemon=True).start()

    def put(self, report: Any) -> None:
        """Send a report soon."""
        self._reports.append(report)
        self._wake.set()

    def _send(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            time.sleep(PAUSE_SECONDS)
            count = len(self._reports)
            batch, self._reports[:count] = self._reports[:count], []
            self._mailbox.put.remote(pickle.dumps(batch))


def open_letters(letters: list[bytes]) -> list[Any]:
    """Return the reports of letters, in their order."""
    return [report for letter in letters for report in pickle.loads(letter)]  # noqa: S301  (of our workers)
