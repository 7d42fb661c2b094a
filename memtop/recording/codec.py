"""Changes of many numbers at one moment as bytes, and ranges of one number over five minutes.

A moment is a list of columns, one for each quantity of which something changed:

    B quantity   B,B type codes of the gaps and of the steps   H count   I first object
    gaps between the numbers of the objects, then the steps of their values, as little-endian arrays

and all of it deflated (RFC 1951). A step is the difference to the value before (none: to 0); the
least number of the type means that the value is unknown now. Type codes are those of Python's
`array`. Pure; the unit of a value is its quantity's (see `quantities`).
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise

Change = tuple[int, int | None]  # the number of an object, and the step of its value
Column = tuple[int, Iterable[int], Sequence[int | None]]  # a quantity, objects, and their steps
Span = tuple[int, int] | None

_HEAD = struct.Struct("<BBBHI")
_SPANS = struct.Struct("<BBBI")
_CODES = "bhiq"
_WINDOW_BITS = 12
_MOST_BYTES = 64 << 20  # no sample of any machine has as much
_SWAPS = sys.byteorder == "big"
_SIZES = {code: array(code).itemsize for code in "BHIbhiq"}
_LEAST = {code: -(1 << 8 * _SIZES[code] - 1) for code in _CODES}
_MOST_GAP = {"B": (1 << 8) - 1, "H": (1 << 16) - 1, "I": (1 << 32) - 1}
MOST_CHANGES = (1 << 16) - 1  # in one column; more become several


def pack(changes: Mapping[int, list[Change]]) -> bytes:
    """The changes of a moment, by quantity; the objects of each are sorted on the way."""
    parts: list[bytes] = []
    for quantity, pairs in changes.items():
        pairs.sort()  # no object occurs twice, so that steps are never compared
        for begin in range(0, len(pairs), MOST_CHANGES):
            parts += _column(quantity, pairs[begin : begin + MOST_CHANGES])
    deflate = zlib.compressobj(6, zlib.DEFLATED, -_WINDOW_BITS, 5)
    return deflate.compress(b"".join(parts)) + deflate.flush()


def _column(quantity: int, pairs: list[Change]) -> list[bytes]:
    objects = [number for number, _ in pairs]
    gaps = [after - before for before, after in pairwise(objects)]
    most = max(gaps, default=0)
    gap_code = "B" if most <= _MOST_GAP["B"] else "H" if most <= _MOST_GAP["H"] else "I"
    steps = [step for _, step in pairs]
    known = [step for step in steps if step is not None]
    code = _code_for(min(known, default=0), max(known, default=0))
    if len(known) < len(steps):
        least = _LEAST[code]
        steps = [least if step is None else step for step in steps]
    head = _HEAD.pack(quantity, ord(gap_code), ord(code), len(pairs), objects[0])
    return [head, _bytes(array(gap_code, gaps)), _bytes(array(code, steps))]  # type: ignore[arg-type]


def unpack(data: bytes) -> Iterable[Column]:
    """The columns of a moment, as `pack` has made them; ValueError if that did not."""
    data = _inflated(data)
    at, view = 0, memoryview(data)
    while at < len(data):
        try:
            quantity, gap_sign, sign, count, first = _HEAD.unpack_from(data, at)
        except struct.error:
            raise ValueError("a column is cut") from None
        gap_code, code = chr(gap_sign), chr(sign)
        if gap_code not in _MOST_GAP or code not in _LEAST or not count:
            raise ValueError("no column begins here")
        at += _HEAD.size
        middle = at + (count - 1) * _SIZES[gap_code]
        end = middle + count * _SIZES[code]
        if end > len(data):
            raise ValueError("a column is cut")
        gaps = _array(gap_code, view[at:middle])
        steps: Sequence[int | None] = _array(code, view[middle:end])
        least = _LEAST[code]
        if least in steps:
            steps = [None if step == least else step for step in steps]
        yield quantity, accumulate(gaps, initial=first), steps
        at = end


def _inflated(data: bytes) -> bytes:
    inflate = zlib.decompressobj(-_WINDOW_BITS)
    try:
        made = inflate.decompress(data, _MOST_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not inflate.eof:
        raise ValueError("it is cut, or too long")
    return made


def pack_spans(spans: Sequence[Span]) -> bytes:
    """The least and greatest value of each of at most 255 buckets; unknown ones only at the ends.

    B buckets before the first known one   B known ones   B type code   I the least of all
    what the least ones are more than that, then what the greatest ones are, as arrays
    """
    first = next((index for index, span in enumerate(spans) if span), len(spans))
    known = [span for span in spans[first:] if span]
    lows, highs = [low for low, _ in known], [high for _, high in known]
    base = min(lows, default=0)
    code = "H" if max(highs, default=0) - base <= _MOST_GAP["H"] else "I"
    values = array(code, [value - base for value in (*lows, *highs)])
    return _SPANS.pack(first, len(known), ord(code), base) + _bytes(values)


def unpack_spans(data: bytes, count: int) -> list[Span]:
    """The ranges of `count` buckets; ValueError if `pack_spans` has not made them."""
    try:
        first, known, sign, base = _SPANS.unpack_from(data)
    except struct.error:
        raise ValueError("ranges are cut") from None
    code = chr(sign)
    if code not in ("H", "I") or len(data) != _SPANS.size + 2 * known * _SIZES[code]:
        raise ValueError("ranges are cut")
    values = _array(code, memoryview(data)[_SPANS.size :])
    spans: list[Span] = [None] * first
    spans += [(base + values[at], base + values[known + at]) for at in range(known)]
    return (spans + [None] * count)[:count]


def _code_for(least: int, most: int) -> str:
    for code in _CODES:
        if _LEAST[code] < least and most < -_LEAST[code]:
            return code
    raise OverflowError("a value needs more than 63 bits")


def _bytes(values: array[int]) -> bytes:
    if _SWAPS:
        values.byteswap()
    return values.tobytes()


def _array(code: str, data: memoryview) -> array[int]:
    values = array(code)
    values.frombytes(data)
    if _SWAPS:
        values.byteswap()
    return values
