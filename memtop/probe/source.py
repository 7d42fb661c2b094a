"""What every source of samples can do: the live system, another /proc, a fake, a recording.

A source is used by one thread at a time. It reports vanished, denied and dead processes as
ordinary values; it raises only when the source as a whole cannot be read (MemtopError).
"""

from __future__ import annotations

from typing import Protocol

from memtop.probe.sample import Identity, Sample, Wanted


class Source(Protocol):
    """Where samples come from."""

    own: Identity | None
    """memtop's own identity in this source; None when it does not appear there."""

    live: bool
    """Whether the processes are the ones of this machine, so that they can be acted on."""

    def sample(self, wanted: Wanted) -> Sample:
        """Look at every process now; the first sample reports all of them as started."""

    def settle(self, timeout_s: float) -> None:
        """Wait until the slow facts asked for so far are read, or the time is over."""

    def close(self) -> None:
        """Give back descriptors and threads; more calls are harmless."""
