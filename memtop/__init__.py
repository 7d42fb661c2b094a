"""memtop: whose memory grows, what is it made of, and what can be done about it now."""

__version__ = "0.1.0"
