"""A service that renders each request in a process of its own, under RLIMIT_AS."""
