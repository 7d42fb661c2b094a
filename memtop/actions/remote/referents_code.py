"""A part of the code of a snapshot (`snapshot_code`): what containers refer to; not run here.

It stands within a function of that code and takes its names from there. What it counts goes into
`entries`. Of `ask` the deadline is looked at for each ten thousand referents or so.
"""

REFERENTS = r"""
    # What containers refer to.

    entries, kinds = {}, {}
    nobody_else = {0: object()}
    (own_references,) = map(references_of, nobody_else.values())
    share_of = {own_references + n: 1.0 / n for n in range(1, most_references + 1)}.get

    def kind_of(t):
        # 0: tracked, and counted where all objects are; 1: never tracked; 2: tracked perhaps.
        return 1 if not flags_of(t) >> 14 & 1 else 2 if t is dict or t is tuple else 0

    def by_type(some):
        groups = defaultdict(list)
        any(map(list.append, map(groups.__getitem__, map(id, map(type, some))), some))
        return groups

    def count_referents(referents, factor, draws, depth):
        # `draws`: at most; what comes out of one container is alike.
        is_whole = True
        for k, group in by_type(referents).items():
            kind = kinds.get(k)
            if kind is None:
                kind = kinds[k] = kind_of(type(group[0]))
            if kind == 0:
                continue
            if kind == 2:
                group[:] = [o for o in group if not is_tracked(o)]
            if not group:
                continue
            entry = entries.get(k)
            if entry is None:
                entry = entries[k] = meet(group[0])
            # Each once, and how many times it is there: so often these two lists refer to it.
            ids, times = list(map(id, group)), {}
            count_elements(times, ids)
            once, often = dict(zip(ids, group)), list(times.values())
            counts = map(sub, map(references_of, once.values()), map(mul, often, repeat(2)))
            shares = list(map(mul, map(share_of, counts, repeat(0.0)), often))
            number = sum(shares)
            entry[drawn] += min(number, draws)
            number *= factor
            entry[referred] += number
            if entry[fixed] is not None:
                entry[size] += number * entry[fixed]
            else:
                entry[size] += factor * sum(map(mul, shares, map(entry[measure], once.values())))
            if kind == 2 and depth:
                inner = defaultdict(list)
                any(map(list.append, map(inner.__getitem__, shares), once.values()))
                c, group, once = type(group[0]), None, None
                for share, alike in inner.items():
                    figures = factor * share, min(draws, len(alike)), depth - 1
                    is_whole &= not share or ask(alike, c, 0, 1, *figures)
        return is_whole

    def some_of(o, c, n, start, step):
        # Every so many of what a large container refers to, and which share of it that is. Of a
        # very large one, of its beginning. That of a list or a tuple cannot be told so: somebody's
        # C code may not have filled it yet.
        if c is list or c is tuple:
            some = referents_of(o)[start::step]
            return some, n / max(1, len(some))
        parts = (dict.keys(o), dict.values(o)) if c is dict else (c.__iter__(o),)
        some = []
        for part in parts:
            some += islice(part, start, most_passed, step)
        return some, n * len(parts) / max(1, len(some))

    def ask(group, c, start, stride, factor, draws, depth):
        # Count what containers of a kind refer to, of small ones one of `stride`, of large ones
        # one of `stride` that they refer to; False if there was no time for all of it.
        larges, at_once, is_whole = (), batch // 20, True
        if c is not None:
            lengths = list(map(c.__len__, group))
            longest, most = max(lengths), large
            if longest > small:  # where few are of a middle size, one may be unlike all others
                middle = sum(map(small.__lt__, lengths)) - sum(map(large.__lt__, lengths))
                most = large if middle > few else small
            if longest > most:
                larges = [one for one in zip(group, lengths) if one[1] > most]
                group = [o for o, n in zip(group, lengths) if n <= most]
                longest = most
            at_once = batch // (longest + 1) + 1
        group = group[start % stride :: stride] if stride > 1 else group
        for at in range(0, len(group), at_once):
            if clock() > deadline:
                return False
            part = group[at : at + at_once]
            figures = factor * stride, min(draws, len(part)), depth
            is_whole &= count_referents(referents_of(*part), *figures)
        for o, n in larges:
            left, is_list = deadline - clock(), c is list or c is tuple
            if left < 0 or (is_list and (n * 3e-8 > left or n > most_listed)):
                is_whole = False
                continue
            step = max(stride, min(n, most_passed) // batch + 1)
            some, share = some_of(o, c, n, start % step, step)
            is_whole &= count_referents(some, factor * share, min(draws, len(some)), depth)
        return is_whole
"""
