"""What memtop itself takes while nothing is sampled: RSS in KiB, and per cent of a CPU."""

from __future__ import annotations

import os
import time

EVERY_S = 2.0


class OwnCost:
    """Measured at most every two seconds; None where the system does not tell."""

    def __init__(self) -> None:
        self._at_s, self._cpu_s = time.monotonic(), time.process_time()
        self._known: tuple[float | None, float | None] = (_rss_kib(), None)

    def now(self) -> tuple[float | None, float | None]:
        """RSS, and the CPU since the last time."""
        passed_s = time.monotonic() - self._at_s
        if passed_s >= EVERY_S:
            used_s = time.process_time() - self._cpu_s
            self._known = (_rss_kib(), 100 * used_s / passed_s)
            self._at_s, self._cpu_s = self._at_s + passed_s, self._cpu_s + used_s
        return self._known


def _rss_kib() -> float | None:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
    except (OSError, ValueError, IndexError):
        return None
