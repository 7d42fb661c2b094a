"""A steady neighbour of the pool worker."""

import os
import time

if __name__ == "__main__":
    kept = os.urandom(4096) * 256 * 21
    while True:
        time.sleep(1)
