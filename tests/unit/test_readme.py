"""The README tells what the tables of the program say."""

import re
from pathlib import Path

from memtop.columns import COLUMNS
from memtop.tui.keys import KEYS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_every_key_is_listed():
    """The list of keys is the table of keys."""
    for key in KEYS:
        assert f"| `{key.label}` | {key.help} |" in README


def test_every_column_is_listed():
    """So are the columns that a filter can ask for."""
    listed = re.search(r"Columns: ([^.]*)\.", README)[1]

    assert re.findall(r"`(\w+)`", listed) == [column.id for column in COLUMNS]


def test_every_picture_exists():
    """What the README shows is there."""
    for path in re.findall(r"\]\((screenshots/[^)]+)\)", README):
        assert (ROOT / path).exists()
