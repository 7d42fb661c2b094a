"""What the README says of the file is so: every table is named, and the examples run."""

import re
import sqlite3
from pathlib import Path

from memtop.model.tracker import Tracker
from memtop.probe.fake import crowd
from memtop.probe.sample import Wanted
from memtop.recording.schema import APPLICATION_ID, TABLES, VERSION
from memtop.recording.session import Session

README = (Path(__file__).parents[2] / "README.md").read_text()


def recorded(path):
    session, tracker, source = Session(str(path)), Tracker(), crowd(20, changing=3)
    for _ in range(130):
        session.take(tracker.feed(source.sample(Wanted())))
    session.add_event("mark", "level 8")
    session.close()


def examples(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_table_is_named():
    """No table is left unexplained."""
    listed = set(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", README, re.MULTILINE))
    named = set(re.findall(r"\w+", " ".join(listed)))

    assert TABLES.keys() <= named
    assert f"0x{APPLICATION_ID:X}" in README and f"user_version` ({VERSION})" in README


def test_the_queries_answer(tmp_path):
    """Each SQL example finds something in a recording."""
    recorded(tmp_path / "a.memtop")
    connection = sqlite3.connect(tmp_path / "a.memtop")
    (block,) = [one for one in examples("sql") if "rss_by_minute" in one]
    queries = [line.split(";")[0].replace("4711", "100") for line in block.splitlines()]
    assert len(queries) >= 5
    for query in queries:
        assert connection.execute(query).fetchall(), query
    connection.close()


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    """The Python example prints a line for each process."""
    recorded(tmp_path / "night.memtop")
    monkeypatch.chdir(tmp_path)
    (code,) = [one for one in examples("python") if "Recording" in one]
    exec(code, {})

    assert len(capsys.readouterr().out.splitlines()) == 21
