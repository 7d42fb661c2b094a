"""Reports are safe: whatever processes are called, and whatever their command lines hold."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from memtop.cli import main
from memtop.model.tracker import Tracker
from memtop.probe.procfs import ProcfsSource
from memtop.probe.sample import Wanted
from memtop.recording.appending import add_mark
from memtop.recording.recording import Recording
from memtop.recording.session import Chosen, Session
from memtop.render.escape import visible
from memtop.reports import markdown
from memtop.reports.blocks import Head, Listed, Picture, Say, Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from reports import BEGIN, MIB, record, service, told

SECRET = "hunter2SECRET"
HOSTILE = [
    "a|b|c",
    "`code` ``x``",
    "*bold* _it_ ~~no~~",
    "<img src=x onerror=alert(1)>",
    "[click](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "https://evil.example www.evil.example",
    "@everyone $x$ &amp; \\| \\",
    "# head",
    "- item",
    "1. one",
    "\x1b[31mred\x1b[0m\r\n| x |",
    "a\u202eb\u2028c\udc80",
    "====",
    "   ",
    "",
]


def texts_of(tokens):
    """The text that is shown, and the types of the tokens in it."""
    text, kinds = [], set()
    for token in tokens:
        kinds.add(token.type)
        if token.children:
            for child in token.children:
                kinds.add(child.type)
                if child.type in ("text", "code_inline", "text_special"):
                    text.append(child.content)
    return "".join(text), kinds


def parsed(source):
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source)


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_markdown_shows_the_text_and_nothing_else(name):
    """Any text in a sentence, a list and a table is shown as it is, and means nothing."""
    shown = visible(name).strip()
    sheet = [
        Say(f"x {name}"),
        Listed((("label", name), (f"l {name}", "y"))),
        Table(("a", "b"), ((name, "1"), ("2", name))),
    ]
    tokens = parsed(markdown.write(sheet))
    text, kinds = texts_of(tokens)
    bad = {"html_inline", "html_block", "link_open", "image", "em_open", "s_open", "code_inline"}
    assert not kinds & bad and not any(kind.startswith(("fence", "hr", "code_")) for kind in kinds)
    assert sum(one.type == "tr_open" for one in tokens) == 3
    assert sum(one.type == "td_open" for one in tokens) == 4
    assert sum(one.type == "bullet_list_open" for one in tokens) == 1
    assert squeezed(text).count(squeezed(shown)) >= (4 if shown else 0)


def squeezed(text):
    return " ".join(text.split())


@pytest.mark.parametrize("name", HOSTILE)
def test_headings_and_pictures_are_safe(name):
    """So are a heading and the words of a picture."""
    tokens = parsed(markdown.write([Head(name or "x"), Picture("a b(1)-1.svg", name)]))
    _, kinds = texts_of(tokens)
    assert "html_inline" not in kinds and "link_open" not in kinds
    assert [one.tag for one in tokens if one.type == "heading_open"] == ["h2"]
    pictures = [c for one in tokens for c in one.children or () if c.type == "image"]
    assert [one.attrs["src"] for one in pictures] == ["a%20b%281%29-1.svg"]


def test_hostile_names_in_all_forms(tmp_path, capsys):
    """A report of processes with such names has no control character, and its JSON is strict."""
    source = service(lambda s, t: [setattr(one, "rss_kib", one.rss_kib + 100) for one in
                                   s.processes.values() if one.identity.pid >= 200])  # fmt: skip
    for number, name in enumerate(HOSTILE):
        source.spawn(200 + number, 1, name or "x", 50, command=name, age_s=5000)
    path = record(tmp_path / "a.memtop", source, 120)
    add_mark(path, "level | <b>`1`", BEGIN + 60)
    for form in ((), ("--md",), ("--compare", path), ("--compare", path, "--md")):
        out = told(capsys, path, *form)
        assert all(character == "\n" or character >= " " for character in out)
        assert "\u202e" not in out and "\u2028" not in out and "\udc80" not in out
        out.encode()
    out = told(capsys, path, "--json")
    out.encode("ascii")
    json.loads(out, parse_constant=pytest.fail)
    assert "\\udc80" not in out
    tokens = parsed(told(capsys, path, "--md"))
    _, kinds = texts_of(tokens)
    assert not kinds & {"html_inline", "html_block", "link_open", "image"}


def test_no_secret_anywhere(tmp_path, capsys):
    """Of real processes with secrets in their command lines and environments none is in the file,
    the text, the Markdown, the JSON or the pictures."""
    code = "import time; time.sleep(60)"
    ways = [
        [f"--password={SECRET}"],
        ["--password", SECRET],
        ["mysql", f"-p{SECRET}"],
        [f"DB_PASSWORD={SECRET}"],
        ["-H", f"Authorization: Bearer {SECRET}"],
        [f"redis://bob:{SECRET}@cache:6379/0"],
        ["--token", f"--{SECRET}"],
        [f"https://example.org/hook?token={SECRET}"],
    ]
    path, children = str(tmp_path / "a.memtop"), []
    try:
        for way in ways:
            arguments = [sys.executable, "-c", code, *way]
            environ = {"PLAIN_NAME": f"env{SECRET}", "API_KEY": SECRET}
            children.append(subprocess.Popen(arguments, env=environ))
        pids = {one.pid for one in children}
        source, tracker = ProcfsSource("/proc"), Tracker(0.1)
        session = Session(path, chosen=Chosen(top_pid=None))
        for tick in range(6):
            sample = source.sample(tracker.ask(Wanted(all_usage=True)))
            session.take(tracker.feed(sample))
            if tick < 2:
                source.settle(2.0)
        session.close()
        source.close()
    finally:
        for one in children:
            one.kill()
            one.wait()
    assert SECRET.encode() not in Path(path).read_bytes()
    made = json.loads(told(capsys, path, "--json"))
    commands = [one["command"] for one in made["processes"] if one["pid"] in pids]
    assert len(commands) == len(ways) and all("***" in one for one in commands)
    for form in ((), ("--md",), ("--json",), ("--compare", path), ("--compare", path, "--json")):
        assert SECRET not in told(capsys, path, *form)
    assert main(["report", path, "--save", str(tmp_path / "out.md")]) == 0
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes(), file
    capsys.readouterr()


def test_clocks_that_are_put_back(tmp_path, capsys):
    """A report, its pictures and its comparison go through where the clock of the machine jumped
    within a run and between runs, and times in it only rise; what grows still grows as fast."""
    path = tmp_path / "a.memtop"
    jumps = {60: 7200.0, 120: -14_400.0}

    def move(source, tick):
        source._begin_at += jumps.get(tick, 0.0)
        source.processes[20].rss_kib += 200

    source = service(move)
    record(path, source, 200)
    for begin_at in (BEGIN - 172_800, 0.0):
        source = service(lambda source, tick: setattr(source.processes[20], "rss_kib", tick * 200))
        source._begin_at = begin_at
        record(path, source, 100)
    for at in (4e15, -5.0):
        add_mark(path, "no time", at)
    with Recording(str(path)) as recording:
        times = [one.at for one in recording.moments()]
        assert times == sorted(times) and len(times) == 400
        assert times[150] - times[120] == pytest.approx(30.0)
    made = json.loads(told(capsys, path, "--json"))
    assert made["samples"] == 400
    assert made["first_sample_at"] <= made["last_sample_at"]
    told(capsys, path, "--compare", str(path))
    assert main(["report", str(path), "--save", str(tmp_path / "out.md")]) == 0
    for file in tmp_path.glob("*.svg"):
        ElementTree.parse(file)
    capsys.readouterr()


@example(MIB)
@given(st.integers(0, 1 << 40))
@settings(max_examples=50, deadline=None)
def test_sizes_of_any_height_are_written(kib):
    """No size is too large to be written."""
    from memtop.reports.words import change

    assert change(kib).endswith(("MiB", "GiB"))
