"""What is known about the processes over time. Pure: no I/O, no clock, no threads."""
