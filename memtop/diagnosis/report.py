"""The findings as JSON. The names of the fields are a contract."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from memtop.diagnosis.finding import Finding, Lack


def findings_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The findings in their order, the likeliest first; `confidence` is a share of one."""
    return [
        {
            "cause": one.cause,
            "pid": one.pid,
            "role": one.role,
            "type": one.type,
            "headline": one.headline,
            "confidence": round(one.confidence, 3),
            "for": list(one.supporting),
            "against": list(one.against),
            "missing": [dict(zip(Lack._fields, lack, strict=True)) for lack in one.missing],
            "next_step": one.next_step,
            "remarks": list(one.remarks),
        }
        for one in findings
    ]
