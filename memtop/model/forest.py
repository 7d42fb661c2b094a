"""Who is whose child. Pure; the order among siblings is that of their start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from memtop.probe.sample import Identity

Children = dict[Identity | None, tuple[Identity, ...]]


def plant(parents: Mapping[Identity, Identity | None]) -> Children:
    """Children by parent; None holds the roots. Parents that are unknown make a root.

    Broken input (a recorded tree, reads that raced) may hold circles: each is cut open at its
    first process, so that every process appears exactly once.
    """
    children: dict[Identity | None, list[Identity]] = {None: []}
    for identity in sorted(parents):
        parent = parents[identity]
        if parent is None or parent not in parents or parent == identity:
            parent = None
        children.setdefault(parent, []).append(identity)
    missing = parents.keys() - _reachable(children)
    while missing:
        cut = min(missing)
        parent = parents[cut]
        children[parent].remove(cut)
        children[None].append(cut)
        missing = parents.keys() - _reachable(children)
    return {parent: tuple(below) for parent, below in children.items() if below or parent is None}


def _reachable(children: Mapping[Identity | None, list[Identity]]) -> set[Identity]:
    reached: set[Identity] = set()
    todo: list[Identity | None] = [None]
    while todo:
        below = children.get(todo.pop(), ())
        reached.update(below)
        todo.extend(below)
    return reached


def subtree(
    children: Mapping[Identity | None, tuple[Identity, ...]], top: Identity
) -> Iterable[Identity]:
    """`top` and everything below it."""
    todo = [top]
    while todo:
        identity = todo.pop()
        yield identity
        todo.extend(children.get(identity, ()))
