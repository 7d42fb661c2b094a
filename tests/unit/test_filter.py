"""The filter language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.columns import COLUMNS
from memtop.errors import FilterError
from memtop.model.filter import parse
from memtop.model.tracker import Tracker
from memtop.probe.fake import FakeSource
from memtop.probe.sample import Host, Wanted


@pytest.fixture(scope="module")
def state():
    """A few processes that differ in everything a filter can ask for."""
    source = FakeSource(host=Host("h", 1024 * 1024, 1024))
    source.spawn(1, 0, "init", 8, user="root", age_s=90_000, command="/sbin/init")
    source.spawn(10, 1, "python3", 900, command="python -m tracker.main --level 8", age_s=7200)
    source.spawn(11, 10, "pool_worker", 310, exe="/usr/bin/python3.12", age_s=60, threads=9)
    source.spawn(12, 1, "redis-server", 22, command="redis-server *:6379", cpu_percent=60.0)
    growing = source.spawn(13, 1, "Uvicorn", 50, command="/opt/My App/uvicorn", user="www")
    tracker = Tracker()
    for _ in range(30):
        growing.rss_kib += 200
        state = tracker.feed(source.sample(Wanted()))
    return state


def pids(text, state):
    made = parse(text)
    return sorted(row.pid for row in state.rows.values() if made.matches(row, state))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [1, 10, 11, 12, 13]),
        ("  ", [1, 10, 11, 12, 13]),
        ("REDIS", [12]),
        ("python tracker", [10]),
        ("redis,uvicorn", [12, 13]),
        ("!redis", [1, 10, 11, 13]),
        ("!!redis", [12]),
        ("!" * 3000 + "redis", [12]),
        ("!redis,uvicorn", [1, 10, 11]),
        ("/pool_\\w+$/", [11]),
        ("/^redis|^init/", [1, 12]),
        ("/a b/,redis", [12]),
        ("/opt/my", [13]),
        ('"my app"', [13]),
        ("rss>300m", [10, 11]),
        ("rss >= 310m", [10, 11]),
        ("rss<=8m", [1]),
        ("rss>50%", [10]),
        ("cpu>=50%", [12]),
        ("cpu>50", [12]),
        ("pid=10,12", [10, 12]),
        ("pid!=10,12", [1, 11, 13]),
        ("user=root,www", [1, 13]),
        ("user!=app", [1, 13]),
        ("user~OO", [1]),
        ("name~/^p/", [10, 11]),
        ("age>1h", [1, 10]),
        ("age<2m", [11, 12, 13]),
        ("threads>8", [11]),
        ("python", [10, 11]),
        ("growing", [13]),
        ("!growing python", [10, 11]),
        ("rate>5", [13]),
        ("rate>5m", [13]),
        ("rate<-1", []),
        ("pss>1", []),
        ("pss!=1", [1, 10, 11, 12, 13]),
        ("redis,", [12]),
        ("MEM>300M", [10, 11]),
    ],
)
def test_what_passes(text, expected, state):
    """Each form of the language lets through what it says."""
    assert pids(text, state) == expected


def test_shares_of_an_unknown_total_match_nothing():
    """Where the memory of the machine is not known, no row has a share of it."""
    source = FakeSource(host=Host("h", None, None))
    source.spawn(1)
    state = Tracker().feed(source.sample(Wanted()))

    assert pids("rss>1%", state) == []


def test_a_filter_knows_its_columns():
    """So that what is dear to read is read for everybody only when it is asked for."""
    assert parse("peak>1g user=a python").columns == {"peak", "user"}


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("rss>", 4),
        ("redis rss>", 10),
        ("rss>x", 4),
        ("colour=red", 0),
        ("a colour=red", 2),
        ("!", 0),
        ("!!!", 2),
        ("age~5", 3),
        ("cpu>nan", 4),
        ("threads>5%", 8),
        ("rss>50%%", 4),
        ("a ! b", 2),
        ('"open', 0),
        ("/(/", 1),
        ("a /[/ b", 3),
        ("age>1fortnight", 4),
        ("cpu>much", 4),
        (",", 0),
        ("a,,b", 2),
    ],
)
def test_what_is_wrong_says_where(text, position):
    """A filter that cannot be read names the first wrong character."""
    with pytest.raises(FilterError) as caught:
        parse(text)

    assert caught.value.position == position
    assert caught.value.exit_code == 2


OPERATORS = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~"])
WORDS = st.text(max_size=12)
TERMS = st.one_of(
    WORDS,
    st.builds(
        "{}{}{}".format, st.sampled_from([column.id for column in COLUMNS]), OPERATORS, WORDS
    ),
    st.builds("/{}/".format, WORDS),
    st.builds("!{}".format, WORDS),
)


@given(st.lists(TERMS, max_size=5).map(" ".join))
def test_any_text_is_read_or_refused(state, text):
    """No text does anything but make a filter or a FilterError within the text."""
    try:
        made = parse(text)
    except FilterError as error:
        assert 0 <= error.position <= len(text)
        return
    for row in state.rows.values():
        assert made.matches(row, state) in (True, False)


@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1, max_size=10))
def test_negation_is_the_complement(state, word):
    """A negated term lets through exactly what the term does not."""
    everyone = {row.pid for row in state.rows.values()}

    assert set(pids(f"!{word}", state)) == everyone - set(pids(word, state))
