"""What was seen and said over time, in one file: written while it is watched, read at any time."""
