"""Who is whose child."""

from hypothesis import given
from hypothesis import strategies as st

from memtop.model.forest import plant, subtree
from memtop.probe.sample import Identity

IDENTITIES = [Identity(start, pid) for start in (1, 2) for pid in range(1, 7)]


@given(
    st.dictionaries(
        st.sampled_from(IDENTITIES), st.none() | st.sampled_from(IDENTITIES), max_size=12
    )
)
def test_every_process_appears_once(parents):
    """Whatever the parents say, circles included, each process is in the tree exactly once."""
    children = plant(parents)

    seen = [one for top in children[None] for one in subtree(children, top)]

    assert sorted(seen) == sorted(parents)


def test_the_order_is_that_of_the_starts():
    """Siblings stand in the order in which they started."""
    one, two, three = Identity(1, 9), Identity(2, 5), Identity(3, 1)

    assert plant({three: one, two: one, one: None}) == {None: (one,), one: (two, three)}
