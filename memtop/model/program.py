"""What a command line runs: the program of a Python, and the short name to call it by.

A command is argv joined by single blanks, so that an argument with blanks cannot be told from
several; a process may also have written a title over its own. Everything here is a guess from
text, takes time in proportion to it, and never fails.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SCRIPT, MODULE, INLINE, BARE = "script", "-m", "-c", "bare"
LONGEST_NAME = 24

_INTERPRETER = re.compile(r"(?:[Pp]ython|pypy|graalpy)[\d.]*[a-z]?(?:-dbg)?\Z")
_TAKES_VALUE = re.compile(r"[cmWX]")
# Programs that run the one which is named behind their own options.
_WRAPPER = re.compile(r"(?:coverage|memray) run\b|(?:cProfile|debugpy|pdb|trace|viztracer)(?=\s)")
_WRAPPED = re.compile(r" (?:-m (?P<module>\S+)|(?P<script>[^\s-]\S{0,200}\.py))(?=\s|\Z)")
# What tells a process from the next of its kind: numbers, hexadecimal ids, text in brackets.
_DETAIL = re.compile(r"\s*[\[\](){}<]|[-_#:./ ]+[0-9a-f]{0,40}\d")
# The program stands before.
_MOST_WORDS = 24
_LONGEST_OPTIONS = 512


class Program(NamedTuple):
    """How a Python was told what to run (`kind`, "" for not at all), and that with its arguments.

    A command that does not begin with an interpreter is `BARE`: a program of its own, or a title.
    """

    kind: str
    text: str

    @property
    def path(self) -> str:
        """The script, module or program without arguments."""
        return self.text.partition(" ")[0]

    @property
    def file(self) -> str:
        """The same without its folder; a package that is run as a folder is named as that."""
        return self.path.removesuffix("/__main__.py").rpartition("/")[2]

    @property
    def name(self) -> str:
        """A short name, "" if there is none: module, or script without folder and suffix."""
        if self.kind == MODULE:
            return self.path.removesuffix(".__main__")[:LONGEST_NAME]
        if self.kind == SCRIPT:
            return self.file.removesuffix(".py")[:LONGEST_NAME]
        if self.kind == BARE:
            return shortened(self.file if "/" in self.path else self.text)
        return ""


def is_interpreter(path: str) -> bool:
    """Whether a file, or the comm of a process, is named as a Python is."""
    return _INTERPRETER.match(path.rpartition("/")[2]) is not None


def program_of(command: str) -> Program:
    """The program within a command line."""
    words = command.split(" ", _MOST_WORDS)
    if not is_interpreter(words[0]):
        return Program(BARE, command)
    program = _behind_options(words)
    if program.kind in (SCRIPT, MODULE):
        base = program.text if program.kind == MODULE else program.text.rpartition("/")[2]
        if _WRAPPER.match(base) and (found := _WRAPPED.search(program.text[:_LONGEST_OPTIONS])):
            kind, group = (MODULE, "module") if found["module"] else (SCRIPT, "script")
            return Program(kind, program.text[found.start(group) :])
    return program


def _behind_options(words: list[str]) -> Program:
    """What stands behind the interpreter's options (python --help), which may be joined: -uc."""
    index = 1
    while index < len(words):
        word = words[index]
        index += 1
        if word == "-":
            break
        if not word.startswith("-"):
            return Program(SCRIPT, " ".join(words[index - 1 :]))
        if word.startswith("--"):
            index += word == "--check-hash-based-pycs"
            continue
        if not (taking := _TAKES_VALUE.search(word)):
            continue
        value = word[taking.end() :]
        if taking[0] in "WX":
            index += not value
            continue
        kind = INLINE if taking[0] == "c" else MODULE
        return Program(kind, " ".join([*([value] if value else []), *words[index:]]))
    return Program("", "")


def shortened(title: str) -> str:
    """A title without what tells one of its kind from the next: `job-3 [a, b]` is a `job`."""
    begin = title[:64]
    words = " ".join(_DETAIL.split(begin, maxsplit=1)[0].split())
    return words[:LONGEST_NAME].rstrip(" :-_") or begin[:LONGEST_NAME]
