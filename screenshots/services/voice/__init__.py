"""A voice agent with a process for each session: many of them, none of which leaks."""
