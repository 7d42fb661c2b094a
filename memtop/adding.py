"""What commands add to a recording, with `--record FILE`: their answers, and what they have done.

An answer is added before it is printed, and printed also if that fails: why is said in the end.
Without a file nothing happens, and nothing of recordings is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memtop import named
from memtop.console import complain
from memtop.errors import MemtopError

if TYPE_CHECKING:
    from memtop.actions.result import Result
    from memtop.anatomy.objects import Objects
    from memtop.anatomy.result import Anatomy
    from memtop.diagnosis.evidence import Evidence
    from memtop.diagnosis.finding import Finding
    from memtop.evidence.inquiry import Gathered
    from memtop.kept import Kept
    from memtop.probe.sample import Identity


class Addition:
    """Adds to the recording at `path`; MemtopError at once if that takes nothing.

    `failure` is why an answer could not be added; then no further one is.
    """

    def __init__(self, path: str | None) -> None:
        self.failure: MemtopError | None = None
        self._path = path
        if path is not None:
            from memtop.recording.appending import check_takes

            check_takes(path)

    def take_anatomy(self, anatomy: Anatomy) -> None:
        """What a process is made of."""
        if self._path is not None:
            from memtop.kept import kept_anatomy

            self._add(kept_anatomy(anatomy, _started(anatomy.identity)))

    def take_census(self, objects: Objects) -> None:
        """Objects, counted from outside."""
        if self._path is not None:
            from memtop.kept import kept_census

            self._add(kept_census(objects, _started(objects.identity)))

    def take_result(self, result: Result) -> None:
        """What became of an action; if it has touched the process that is an event as well."""
        if self._path is not None:
            from memtop.kept import happening_of, kept_result
            from memtop.recording.appending import add_event

            self._add(kept_result(result, _started(result.identity)))
            event = happening_of(result)
            if event is not None and self.failure is None:
                try:
                    # When it began: what it brought comes after its mark.
                    add_event(self._path, event.kind, event.text, event.detail, at=result.at)
                except MemtopError as error:
                    self.failure = error

    def take_verdict(
        self,
        identity: Identity,
        document: dict[str, Any],
        gathered: Gathered,
        evidence: Evidence,
        findings: tuple[Finding, ...],
    ) -> None:
        """Why memory grows: what --json prints, and all that this follows from."""
        if self._path is not None:
            from memtop.kept import kept_verdict, verdict_from

            verdict = verdict_from(gathered, evidence, findings)
            self._add(kept_verdict(verdict, identity, document))

    def blamed(self, failure: MemtopError | None) -> MemtopError | None:
        """What the command has failed of: that, or else that nothing could be added."""
        if failure is None or self.failure is None:
            return failure or self.failure
        complain(self.failure.message, self.failure.command)
        return failure

    def _add(self, kept: Kept) -> None:
        if self._path is None or self.failure is not None:
            return
        from memtop.recording.appending import write_result

        try:
            write_result(self._path, *kept)
        except MemtopError as error:
            self.failure = error


def _started(identity: Identity | None) -> str | None:
    return named.started(identity, named.boot_at())
