"""The command line: which command is asked for, what is said when it fails, and the exit code.

What a command needs is imported when it is run: `--help`, `trim` and `gc` must be quick.
Data goes to stdout, everything else to stderr. Exit codes: see `memtop.errors`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from memtop.arguments import ACTING, LOOKING, parse
from memtop.errors import MemtopError


def entry() -> NoReturn:
    """The console command: run, and end even if a thread of a library hangs on a dead terminal."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started memtop
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115
    code = main()
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _output_failed(error)
    stuck = [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    for thread in stuck:
        thread.join(timeout=0.3)
    if any(thread.is_alive() for thread in stuck):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run memtop with these arguments; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        options = parse(arguments)
        if options.command in ACTING:
            from memtop import acting

            return acting.run(options)
        if options.command in LOOKING:
            from memtop import looking

            return looking.run(options)
        if options.command == "diagnose":
            from memtop import diagnosing

            return diagnosing.run(options)
        if options.command == "diff":
            from memtop import comparing

            return comparing.run(options)
        if options.command == "report":
            from memtop import reporting

            return reporting.run(options)
        if options.command == "mark":
            from memtop import noting

            return noting.mark(options)
        from memtop import watching

        return watching.run(options)
    except MemtopError as error:
        from memtop.console import fail

        return fail(error, as_json="--json" in arguments)
    except BrokenPipeError:
        # The reader (head, less) has gone: no more can be said to it, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _output_failed(error)
    except KeyboardInterrupt:
        return 130


def _output_failed(error: OSError) -> int:
    """Nothing more can be written to stdout, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    from memtop.console import fail

    return fail(MemtopError(f"cannot write the output: {error.strerror}"), as_json=False)
