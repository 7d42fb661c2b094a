"""Text of other people's processes, made fit for a terminal.

Control characters (C0, C1), line and paragraph separators, direction overrides, invisible and
private characters, combining marks and bytes that are no UTF-8 appear as visible escapes
(`\\x1b`, `\\u202e`), never raw. Widths are counted in terminal cells.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PLAIN = re.compile(r"[ -~]*\Z")
_HIDDEN = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp", "Mn", "Me", "Mc"))
# Letters that show nothing: Hangul fillers, the blank of Braille; and Jamo that join others.
_BLANK = frozenset([0x3164, 0xFFA0, 0x2800, 0x115F, *range(0x1160, 0x1200)])
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

ASCII = str.maketrans(
    {
        "▾": "-", "▸": "+", "├": "|", "└": "`", "─": "-", "│": "|", "▌": ">", "•": "*", "●": "o",
        "×": "x", "−": "-", "–": "-", "≈": "~", "≤": "<", "…": "~", "▲": "!", "≡": "#", "▼": "v",
        "Δ": "d", "━": "=", "╸": "=", "╍": "x", "┄": ".", "═": ":", "┈": " ", "╌": "-", "┤": "|",
        "╷": "|",
        "▶": ">", "‖": "|", "→": ">", "·": ".", "Σ": "S",
        "▁": "_", "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+", "▇": "*",
        "┊": ":", "↑": "^", "↓": "v", "←": "<", "✓": "+",
    }
)  # fmt: skip


def visible(text: str) -> str:
    """The text with everything that could move the cursor or deceive the eye escaped."""
    if _PLAIN.match(text):
        return text
    return _visible(text)


@lru_cache(maxsize=4096)
def _visible(text: str) -> str:
    return "".join(
        _escaped(character) if _is_hidden(character) else character
        for character in unicodedata.normalize("NFC", text)
    )


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    if category in _HIDDEN or ord(character) in _BLANK:
        return True
    return category == "Zs" and character != " "


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8 (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cells(text: str) -> int:
    """How many terminal cells a text takes that `visible` made."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells: padded, or cut at its end with `…`."""
    if text.isascii():
        if len(text) <= width:
            return text.ljust(width)
        return text[: width - 1] + "…" if width > 0 else ""
    size = cells(text)
    if size <= width:
        return text + " " * (width - size)
    kept, used = [], 0
    for character in text:
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > width - 1:
            break
        kept.append(character)
    cut = "".join(kept)
    return (cut + "…" + " " * (width - 1 - cells(cut))) if width > 0 else ""
