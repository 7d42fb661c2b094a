"""Runs 1, 2, 4, 8 and 16 streams, and replicates the preprocessed frames for each of them.

A level and its streams refer to each other: when the level is over they are garbage that only a
collection frees, and too few objects are made here for one to begin by itself. What it prints are
the marks that whoever runs it sets.
"""

import time

try:
    import numpy
except ImportError:
    numpy = None

LEVELS, LEVEL_S, FIRST_S = (1, 2, 4, 8, 16), 50, 20
MARK_S = 4  # for the mark to be set before the level begins
FILL_S = 1.5  # that it takes to replicate the frames of a level
FRAMES, SHAPE = 20, (3, 224, 224)


def frame():
    """A preprocessed image: float32, 0.6 MB."""
    if numpy is not None:
        return numpy.full(SHAPE, 0.5, numpy.float32)
    return bytearray(b"x") * (4 * SHAPE[0] * SHAPE[1] * SHAPE[2])


class Stream:
    """One camera with its frames."""

    def __init__(self, level, frames):
        self.level, self.frames = level, frames


class Level:
    """So many streams at once."""

    def __init__(self):
        self.streams = []

    def run(self, count, image):
        """Replicate the frames stream by stream, then run until the level is over."""
        end = time.monotonic() + LEVEL_S
        time.sleep(MARK_S)
        for _ in range(count):
            stream = Stream(self, [])
            self.streams.append(stream)
            for _ in range(FRAMES):
                stream.frames.append(image.copy())
                time.sleep(FILL_S / count / FRAMES)
        time.sleep(max(0.0, end - time.monotonic()))


def main():
    """One level after the other."""
    image = frame()
    time.sleep(FIRST_S)
    for count in LEVELS:
        print(f"mark {count} stream{'s' * (count > 1)}", flush=True)
        Level().run(count, image)
    print("mark done", flush=True)
    while True:
        time.sleep(5)


if __name__ == "__main__":
    main()
