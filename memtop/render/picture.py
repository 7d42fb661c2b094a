"""A picture of the screen: SVG that needs no network, PNG with the `png` extra, or plain text.

The SVG names fonts that are found nearly everywhere and gives each run of text its length, so
that columns stand right with any of them. For PNG a font comes along: pods have none.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from importlib import resources

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from memtop.errors import MemtopError
from memtop.render.cells import Cell

FONTS = "DejaVu Sans Mono, Menlo, Consolas, Liberation Mono, monospace"
ASPECT = 0.602  # width by height of a character of DejaVu Sans Mono
MARGIN = 8

_BRAILLE_TEXT = re.compile(
    r'(?P<head><text class="(?P<class>[^"]+)" x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)"[^>]*>)'
    r"(?P<text>[^<]*[\u2800-\u28ff][^<]*)</text>"
)
# Column and row of each of the eight dots, by bit (Unicode, Braille Patterns).
_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))

# Of the fields that Rich fills in, those of its window frame are left out.
TEMPLATE = """\
<svg class="rich-terminal" viewBox="{left} {top} {full_width} {full_height}" \
xmlns="http://www.w3.org/2000/svg">
    <!-- made by memtop -->
    <style>
    .{{unique_id}}-matrix {{{{
        font-family: {fonts};
        font-size: {{char_height}}px;
        line-height: {{line_height}}px;
        font-variant-east-asian: full-width;
    }}}}
    {{styles}}
    </style>
    <defs>
    <clipPath id="{{unique_id}}-clip-terminal">
      <rect x="0" y="0" width="{{terminal_width}}" height="{{terminal_height}}" />
    </clipPath>
    {{lines}}
    </defs>
    <rect x="{left}" y="{top}" width="{full_width}" height="{full_height}" fill="{background}" />
    <g clip-path="url(#{{unique_id}}-clip-terminal)">
    {{backgrounds}}
    <g class="{{unique_id}}-matrix">
    {{matrix}}
    </g>
    </g>
</svg>
"""


def svg(screen: RenderableType, width: int, height: int, background: str) -> str:
    """A rendered screen of `width` x `height` cells as SVG on `background` (#rrggbb)."""
    console = Console(
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        record=True,
        legacy_windows=False,
    )
    console.print(screen, end="")
    line_height = 20 * 1.22  # Rich's own measures
    template = TEMPLATE.format(
        fonts=FONTS,
        background=background,
        left=-MARGIN,
        top=-MARGIN,
        full_width=round(width * 20 * ASPECT + 2 * MARGIN, 1),
        full_height=round(height * line_height + 2 * MARGIN, 1),
    )
    made = console.export_svg(
        title="memtop",
        theme=_theme(background),
        code_format=template,
        font_aspect_ratio=ASPECT,
        unique_id="memtop",
    )
    return _BRAILLE_TEXT.sub(_dots, made)


def svg_of_cells(
    lines: Sequence[Sequence[Cell]], width: int, colors: Mapping[str, str], background: str
) -> str:
    """Lines of cells as SVG; `colors` by their roles, any other role is that of `dim`."""
    text = Text(no_wrap=True)
    for number, line in enumerate(lines):
        if number:
            text.append("\n")
        for piece, role in line:
            text.append(piece, style=colors.get(role, colors["dim"]))
    return svg(text, width, len(lines), background)


def _dots(match: re.Match[str]) -> str:
    """Braille as dots: fonts without it, and fonts of another width, are common."""
    x, y = float(match["x"]), float(match["y"])
    width, text = 20 * ASPECT, html.unescape(match["text"])
    dots = []
    for place, character in enumerate(text):
        bits = ord(character) - 0x2800
        if not 0 < bits < 256:
            continue
        for bit, (column, row) in enumerate(_DOTS):
            if bits >> bit & 1:
                left = x + (place + 0.25 + 0.5 * column) * width - 1.5
                top = y - 20 + 3.05 + row * 6.1 + 1.5
                dots.append(f"M{left:.1f} {top:.1f}h3v3h-3z")
    shown = "".join(" " if 0x2800 <= ord(c) < 0x2900 else c for c in text)
    rest = html.escape(shown).replace(" ", "&#160;")
    words = f"{match['head']}{rest}</text>" if shown.strip() else ""
    return f'{words}<path class="{match["class"]}" d="{"".join(dots)}" />'


def _theme(background: str) -> TerminalTheme:
    """The sixteen colours, for the theme that leaves them to the terminal."""
    red, green, blue = (int(background[i : i + 2], 16) for i in (1, 3, 5))
    light = red + green + blue > 384
    normal = [
        (46, 52, 64), (197, 40, 28), (44, 122, 69), (149, 96, 10),
        (27, 109, 156), (130, 80, 150), (27, 130, 150), (185, 193, 204),
    ]  # fmt: skip
    bright = [
        (110, 118, 130), (255, 111, 97), (132, 185, 143), (232, 176, 74),
        (127, 184, 216), (190, 140, 210), (120, 200, 216), (241, 244, 248),
    ]  # fmt: skip
    text = (63, 70, 80) if light else (185, 193, 204)
    return TerminalTheme((red, green, blue), text, normal, bright)


def as_bytes(picture: str, kind: str) -> bytes:
    """A picture as the content of a file of `kind` (svg, txt, png); MemtopError without resvg."""
    if kind != "png":
        return picture.encode("utf-8", "replace")
    try:
        import resvg_py
    except ImportError:
        raise MemtopError(
            "a PNG needs the png extra; an SVG does not",
            command="pip install 'memtop-tui[png]'",
        ) from None
    with resources.as_file(resources.files("memtop.render") / "fonts") as folder:
        fonts = [str(folder / f"DejaVuSansMono{style}.ttf") for style in ("", "-Bold")]
        made = resvg_py.svg_to_bytes(
            svg_string=picture,
            font_files=fonts,
            monospace_family="DejaVu Sans Mono",
            font_family="DejaVu Sans Mono",
            skip_system_fonts=True,
        )
    return bytes(made)
