"""A few C functions, called inside another process by a thread of its own that memtop lends it.

What happens, in order, and why nothing is harmed if memtop is killed in between: see `borrow`.
"""
