"""The question before an action: what is said of plans and signals, and how it is drawn."""

import pytest

from memtop.actions import signals
from memtop.actions.result import Check, Plan, Refusal
from memtop.actions.signals import Target
from memtop.actions.table import ACTIONS
from memtop.anatomy.predict import Prediction
from memtop.probe.sample import Identity
from memtop.render.escape import cells
from memtop.render.question import (
    WIDTH,
    Answer,
    Listed,
    Note,
    Question,
    answer_lines,
    question_lines,
)
from memtop.tui.asking import about_action, about_signal, allowed

MIB = 1 << 20
CHECKS = tuple(Check(words, True) for words in ("same process", "rights", "glibc 2.36"))
TRIM, GC = ACTIONS["trim"], ACTIONS["gc"]
DENIED = Refusal("it may not be traced", "CAP_SYS_PTRACE", "sudo memtop trim 7")
FILTER = Refusal("its seccomp filter cannot be read", forceable=True)


def plan(pid=4711, name="pool_worker", action="trim", **fields):
    values = {"rss_bytes": 1341 * MIB, "checks": CHECKS, "stall_s": 0.2, **fields}
    return Plan(action, Identity(100, pid), name, **values)


def drawn(question, width=WIDTH, height=40):
    lines = [*question_lines(question, width, height), *answer_lines(question, width)]
    return ["".join(piece for piece, _ in line).rstrip() for line in lines]


def shown(question, **size):
    return "\n".join(drawn(question, **size))


def keys(question):
    return [answer.key for answer in question.answers]


# -- one process ---------------------------------------------------------------------------


def test_a_trim_says_what_it_does_holds_and_leaves():
    """Question with name, PID and RSS; what it does; who waits how long; the checks; the keys."""
    lines = drawn(about_action(TRIM, [plan()]))

    assert lines[0] == "  Trim pool_worker 4711?" + " " * 40 + "1.31 GiB"
    assert lines[2] == "  malloc_trim(0), run in a thread of its own inside the process."
    text = "\n".join(lines)
    assert "returns   free pages  that malloc keeps; measured before and after" in text
    assert "holds     ≈ 0.5 ms    one thread, while it waits in a system call" in text
    assert "waits     ≈ 0.2 s     threads that allocate may wait so long" in text
    assert "leaves    nothing     no file, no descriptor, no socket" in text
    assert "✓ same process   ✓ rights   ✓ glibc 2.36" in text
    assert "Harmless if memtop dies meanwhile." in text
    assert lines[-2] == "─" * WIDTH
    assert lines[-1] == "  y trim     Esc leave it"


def foreseen(returns, freed=618 * MIB, **fields):
    return plan(prediction=Prediction(returns, freed, 500 * MIB, 14), **fields)


@pytest.mark.parametrize(
    ("returns", "freed", "line"),
    [
        (31 * MIB, 618 * MIB, "returns   ≈  31 MiB   of 618 MiB that are freed but not returned"),
        (0, 305 * MIB, "returns   nothing     of 305 MiB that are freed but not returned"),
        (0, 0, "returns   nothing     hardly anything is freed but not returned"),
        (9 * MIB, None, "returns   ≈ 9.0 MiB   that malloc keeps; measured before and after"),
    ],
)
def test_a_trim_says_what_will_come_back(returns, freed, line):
    """What was predicted is an estimate, out of all that is free."""
    assert line in drawn(about_action(TRIM, [foreseen(returns, freed)]))[4].strip()


def test_predictions_of_several_are_summed():
    """Sizes of all; where some are not known it says for how many it is."""
    plans = [foreseen(31 * MIB, pid=1), foreseen(100 * MIB, pid=2)]
    returns = about_action(TRIM, plans).terms[0]
    assert (returns.value, returns.unit) == ("≈ 131", "MiB")
    assert returns.words == "of 1.21 GiB that are freed but not returned"

    unknown = plan(3, prediction=Prediction(reason="left out: it would take too long"))
    returns = about_action(TRIM, [*plans, unknown, plan(4)]).terms[0]
    assert (returns.value, returns.unit) == ("≈ 131", "MiB")
    assert returns.words.endswith("freed but not returned; for 2 of 4")


def test_what_is_refused_promises_nothing():
    """Only what `y` would trim is summed."""
    plans = [foreseen(31 * MIB, pid=1), foreseen(100 * MIB, pid=2, refusal=DENIED)]

    assert about_action(TRIM, plans).terms[0].value == "≈  31"


def test_why_nothing_was_predicted():
    """The reason stands where the size would."""
    unknown = plan(prediction=Prediction(reason="the arenas of glibc were not found"))
    returns = about_action(TRIM, [unknown]).terms[0]

    assert returns.value == "free pages"
    assert returns.words.endswith("not known: the arenas of glibc were not found")


def test_a_trim_promises_no_figure_that_nobody_knows():
    """Without a look at the arenas nobody knows what will come back, so no number is said."""
    returns = about_action(TRIM, [plan()]).terms[0]

    assert returns.label == "returns"
    assert not any(character.isdigit() for character in returns.value + returns.words)


@pytest.mark.parametrize(
    ("stall_s", "written"),
    [
        (0.0004, "≈ 0.4 ms"),
        (0.023, "≈ 20 ms"),
        (0.09, "≈ 90 ms"),
        (0.2, "≈ 0.2 s"),
        (3.14, "≈ 3.1 s"),
        (42, "≈ 42 s"),
    ],
)
def test_the_stall_is_an_estimate(stall_s, written):
    """How long threads may wait has one digit or two, and the sign of an estimate."""
    assert f"waits     {written} " in shown(about_action(TRIM, [plan(stall_s=stall_s)]))


def test_an_unknown_stall_is_not_mentioned():
    """Nothing is said that was not estimated."""
    assert "waits     " not in shown(about_action(TRIM, [plan(stall_s=None)]))


@pytest.mark.parametrize(
    ("bytes_", "words"),
    [
        (92 * MIB, "un-shares ≈  92 MiB   at most, of what is shared"),
        (0, "un-shares nothing"),
        (None, "un-shares –           how much"),
    ],
)
def test_gc_says_what_it_copies(bytes_, words):
    """gc.collect names what it copies of shared memory: a size, nothing, or not known."""
    question = about_action(GC, [plan(action="gc", would_unshare_bytes=bytes_)])

    assert question.title == "gc.collect in pool_worker 4711?"
    assert words in shown(question)
    assert "threads that run Python wait meanwhile" in shown(question)


def test_trim_copies_nothing():
    """malloc_trim touches no shared page worth mentioning."""
    assert "un-shares" not in shown(about_action(TRIM, [plan()]))


def test_gc_first_is_offered_for_python():
    """Before a trim of a Python process gc.collect may make sense; else it is not offered."""
    assert keys(about_action(TRIM, [plan(python="3.12")])) == ["y", "C"]
    assert keys(about_action(TRIM, [plan(python=None)])) == ["y"]
    assert keys(about_action(GC, [plan(action="gc", python="3.12")])) == ["y"]


def test_what_could_not_be_checked_is_a_warning():
    """A check without an answer has an exclamation mark and the colour of a warning."""
    checks = (*CHECKS, Check("its seccomp filter allows all that is called", None))
    lines = question_lines(about_action(TRIM, [plan(checks=checks)]), WIDTH, 40)

    warning = next(line for line in lines if ("!  ", "rising") in line)
    assert ("its seccomp filter allows all that is called", "rising") in warning


# -- what is refused -----------------------------------------------------------------------


def test_a_refusal_has_reason_and_command_and_no_yes():
    """Nothing can be answered; what is missing and the command that has it stand there."""
    question = about_action(TRIM, [plan(refusal=DENIED)])
    text = shown(question)

    assert keys(question) == []
    assert "!  it may not be traced" in text
    assert "→  sudo memtop trim 7" in text
    assert "Harmless" not in text
    assert text.endswith("  Esc leave it")


def test_what_may_be_forced_has_a_key_of_its_own():
    """Not `y`: the reason is read, and `f` is pressed on purpose."""
    question = about_action(TRIM, [plan(refusal=FILTER, python="3.12")])

    assert keys(question) == ["f"]
    assert "!  its seccomp filter cannot be read" in shown(question)
    assert "f do it all the same" in shown(question)
    assert "leaves    nothing" in shown(question)


def test_answers_choose_the_plans():
    """`y` sets off those that nothing stands against, `f` those that may be forced as well."""
    plans = [plan(1), plan(2, refusal=FILTER), plan(3, refusal=DENIED)]

    assert [one.identity.pid for one in allowed(plans, "y")] == [1]
    assert [one.identity.pid for one in allowed(plans, "f")] == [1, 2]


# -- several -------------------------------------------------------------------------------


def test_several_are_counted_named_and_summed():
    """A group: how many of which name, the sum of RSS, at most eight of them, the rest counted."""
    question = about_action(TRIM, [plan(pid) for pid in range(100, 112)])
    text = shown(question)

    assert question.title == "Trim 12 × pool_worker?"
    assert "15.7 GiB" in drawn(question)[0]
    assert "100  pool_worker" in text and "107  pool_worker" in text
    assert "108  pool_worker" not in text
    assert "and 4 more" in text


def test_several_names_are_processes():
    """Targets with different names are just processes."""
    assert about_action(TRIM, [plan(1), plan(2, "other")]).title == "Trim 2 processes?"


def test_some_of_several_are_refused():
    """`y` is for the others; of the refused it says how many, who and why, each reason once."""
    plans = [plan(1), plan(2), plan(3, refusal=DENIED), plan(4, refusal=DENIED)]
    question = about_action(TRIM, plans)
    text = shown(question)

    assert question.title == "Trim 2 × pool_worker?"
    assert keys(question) == ["y"]
    assert "!  not 2 of 4 (3, 4): it may not be traced" in text
    assert text.count("it may not be traced") == 1
    assert "2.62 GiB" in text


def test_reasons_that_name_the_process_are_one_reason():
    """`3 has ended`, `4 has ended` are the same to whoever reads it."""
    plans = [plan(1), *(plan(n, refusal=Refusal(f"{n} has ended", gone=True)) for n in (3, 4))]

    assert "not 2 of 3 (3, 4): has ended" in shown(about_action(TRIM, plans))


def test_some_of_several_may_be_forced():
    """Then `f` says how many it would be in all."""
    question = about_action(TRIM, [plan(1), plan(2, refusal=FILTER), plan(3, refusal=DENIED)])

    assert keys(question) == ["y", "f"]
    assert "f do all 2 all the same" in shown(question)


def test_all_of_several_are_refused():
    """Nothing can be answered, and the reasons are there."""
    question = about_action(GC, [plan(n, action="gc", refusal=DENIED) for n in (1, 2)])

    assert keys(question) == []
    assert "not 2 of 2 (1, 2)" in shown(question)


def test_checks_of_several_are_those_that_all_passed():
    """A check that one of them lacks is not ticked off for all."""
    question = about_action(TRIM, [plan(1), plan(2, checks=CHECKS[:1])])

    assert question.checks == ("same process",)


def test_warnings_of_several_say_for_how_many():
    """A warning that not all of them have says how many have it."""
    warned = (*CHECKS, Check("busy", None))
    question = about_action(TRIM, [plan(1), plan(2, checks=warned), plan(3, checks=warned)])

    assert "!  2 of 3: busy" in shown(question)


def test_the_longest_stall_and_the_sum_of_copies_count():
    """Who acts on several wants to know the worst wait, and what all copies take together."""
    plans = [
        plan(1, action="gc", stall_s=0.1, would_unshare_bytes=40 * MIB),
        plan(2, action="gc", stall_s=0.4, would_unshare_bytes=60 * MIB),
    ]
    text = shown(about_action(GC, plans))

    assert "≈ 0.4 s" in text
    assert "≈ 100 MiB" in text


# -- signals -------------------------------------------------------------------------------


def test_signals_ask_in_the_same_way():
    """The same dialog: question, targets, what the signal does, what is checked, the keys."""
    targets = [Target(Identity(1, 52), "gunicorn: worker"), Target(Identity(2, 53), "other")]
    question = about_signal(targets, signals.SIGNALS[0].number, {}.get, frozenset())
    text = shown(question)

    assert "Send TERM to 2 processes?" in text
    assert "52  gunicorn: worker" in text
    assert "TERM: asks it to end; it may tidy up first." in text
    assert "✓ same process, compared again when it is sent" in text
    assert "y send TERM     Esc leave it" in text


def test_a_parent_of_memtop_needs_its_pid_typed():
    """No single key is offered then."""
    target = Target(Identity(1, 52), "sh")
    question = about_signal([target], signals.SIGNALS[0].number, {}.get, frozenset({52}))

    assert question.typed == "52"
    assert "memtop may end with it" in shown(question)
    assert "Enter after 52 is typed" in shown(question)
    assert "y send" not in shown(question)


# -- sizes ---------------------------------------------------------------------------------

LONG = Question(
    title="Trim " + "a very long name of a process " * 4 + "4711?",
    does="malloc_trim(0), run in a thread of its own inside the process. " * 2,
    rss_kib=1e6,
    terms=about_action(GC, [plan(action="gc", would_unshare_bytes=MIB)]).terms,
    targets=tuple(Listed(pid, f"日本語 worker {pid}", 1024.0) for pid in range(100, 130)),
    checks=("same process", "rights", "no seccomp filter at all") * 3,
    notes=(Note("a reason that goes on and on " * 20, "sudo memtop trim " + "4711 " * 30),),
    answers=(Answer("y", "trim"), Answer("f", "do all 30 all the same", right=True)),
)


@pytest.mark.parametrize("width", [74, 50, 38, 20, 10, 3, 1])
@pytest.mark.parametrize("height", [40, 18, 8, 3, 1])
def test_it_fits_any_size(width, height):
    """However small: no line is too long, none too many, and the question stays on top."""
    lines = question_lines(LONG, width, height)
    text = ["".join(piece for piece, _ in line) for line in lines]

    assert len(lines) <= height
    assert all(cells(line) <= max(width, 3) for line in text)
    if width > 10:
        assert text[0].strip().startswith("Trim ")
    assert all(
        cells("".join(p for p, _ in line)) <= max(width, 3) for line in answer_lines(LONG, width)
    )


def test_a_long_name_gives_way_to_the_pid():
    """The PID and the size are always to be seen."""
    assert drawn(LONG)[0].endswith("… 4711?  977 MiB")


def test_the_list_gives_way_to_what_is_said():
    """With less height fewer targets are listed, but at least some, and all are counted."""
    question = about_action(TRIM, [plan(pid) for pid in range(100, 130)])
    lines = drawn(question, height=18)

    assert sum("pool_worker" in line for line in lines[1:]) == 4
    assert "and 26 more" in "\n".join(lines)
    assert "Harmless" in "\n".join(lines)


def test_hostile_text_is_visible():
    """Names and reasons of other people never reach the terminal raw."""
    one = plan(name="\x1b[2Jevil", refusal=Refusal("tracer \x07 is on"))
    text = shown(about_action(TRIM, [one]))

    assert "\x1b" not in text and "\x07" not in text
    assert "\\x1b[2Jevil" in text
