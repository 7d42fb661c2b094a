"""The figures of one process beside its chart, with what its portrait adds to them.

What is not known is a dash, and says why if that is known. Lines of cells with roles; KiB.
"""

from __future__ import annotations

from datetime import datetime, timezone

from memtop import units
from memtop.model.state import Row
from memtop.probe.elf import Sockets
from memtop.probe.portrait import Portrait
from memtop.render.cells import Cell
from memtop.render.escape import fit, visible
from memtop.render.words import STATES


def fact_lines(row: Row, portrait: Portrait | None, width: int) -> list[list[Cell]]:
    """The figures, label and value, in lines of `width` cells."""
    pairs: list[tuple[str, str]] = [("RSS", units.size(row.rss_kib))]
    if portrait is not None and portrait.anon_kib is not None:
        parts = (
            ("anonymous", portrait.anon_kib),
            ("files", portrait.file_kib),
            ("shared", portrait.shmem_kib),
        )
        pairs[0] = (
            "RSS",
            f"{units.size(row.rss_kib)}   "
            + ", ".join(f"{name} {units.size(kib)}" for name, kib in parts if kib),
        )
    pairs.append(("peak", units.size(peak_kib(row, portrait))))
    pairs.append(("swap", units.size(swap_kib(row, portrait))))
    pairs.append(("threads", str(row.threads) if row.threads else units.UNKNOWN))
    cpu = units.UNKNOWN if row.cpu_percent is None else f"{row.cpu_percent:.0f} % of one core"
    pairs.append(("CPU", cpu))
    pairs.append(("state", STATES.get(row.state, "sleeping" if row.state == "S" else "running")))
    pairs.append(("writes", _writes(row)))
    pairs.append(("open files", _files(portrait)))
    if portrait is not None and portrait.sockets is not None and any(portrait.sockets[:6]):
        pairs.append(("sockets", _sockets(portrait.sockets)))
    pairs.append(("started", _started(row)))
    if row.role:
        whose = f" of {row.framework}" if row.framework else ""
        pairs.append(("role", row.role + whose))
    if row.container:
        pairs.append(("container", row.container))
    if row.pod_name:
        pairs.append(("pod", f"{row.namespace}/{row.pod_name}" if row.namespace else row.pod_name))
    if portrait is not None and portrait.oom_score is not None:
        adjusted = f", adjusted by {portrait.oom_score_adj}" if portrait.oom_score_adj else ""
        pairs.append(("OOM score", f"{portrait.oom_score}{adjusted}"))
    return [
        [(label.ljust(12), "dim"), (fit(visible(value), max(1, width - 12)), "text")]
        for label, value in pairs
    ]


def _writes(row: Row) -> str:
    if row.write_bytes_s is None or row.written_bytes_s is None:
        return units.UNKNOWN
    storage, everything = row.write_bytes_s / 1024, row.written_bytes_s / 1024
    return f"{units.size(everything)}/s, to storage {units.size(storage)}/s"


def _files(portrait: Portrait | None) -> str:
    """How many files of which kind; why not, if that is not known."""
    if portrait is None:
        return units.UNKNOWN
    counts = portrait.open_files
    if counts is None:
        return f"{units.UNKNOWN}   {why_unknown(portrait, 'open files')}"
    if not counts:
        return "none"
    total = sum(counts.values())
    named = (
        f"{number} {kind.removesuffix('s') if number == 1 else kind}"
        for kind, number in counts.items()
        if number
    )
    return f"{total}: {', '.join(named)}"


def _sockets(sockets: Sockets) -> str:
    """The sockets by kind."""
    kinds = (
        (sockets.tcp_listening, "listening"),
        (sockets.tcp_established, "connected"),
        (sockets.tcp_other, "other TCP"),
        (sockets.udp, "UDP"),
        (sockets.unix, "unix"),
        (sockets.other, "other"),
    )
    words = ", ".join(f"{number} {kind}" for number, kind in kinds if number)
    return f"{words} (counting was cut)" if sockets.is_cut else words


def why_unknown(portrait: Portrait | None, what: str) -> str:
    """Why something of the process is not known, as far as that is."""
    missing = portrait.missing if portrait is not None else ()
    return next((reason for name, _, reason in missing if name == what), "")


def _started(row: Row) -> str:
    if row.started_at is None:
        return units.UNKNOWN
    return datetime.fromtimestamp(row.started_at, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def swap_kib(row: Row, portrait: Portrait | None) -> int | None:
    """Memory in swap, from the row or else from the portrait."""
    if row.swap_kib is None and portrait is not None:
        return portrait.swap_kib
    return row.swap_kib


def peak_kib(row: Row, portrait: Portrait | None) -> int | None:
    """The largest RSS that the process ever had, from the row or else from the portrait."""
    known = [row.peak_kib, portrait.peak_kib if portrait else None]
    return max((kib for kib in known if kib is not None), default=None)
