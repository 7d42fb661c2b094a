"""`python -m memtop` is `memtop`."""

from memtop.cli import entry

if __name__ == "__main__":
    entry()
