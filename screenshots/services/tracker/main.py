"""Hands tracking jobs to one pool worker, two at a time, and keeps nothing of them."""

import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, wait

from tracker import pool_worker

EVERY_S = 4.0
BESIDE = ("thumbnails", "uploader")


def main() -> None:
    """Submit a job every few seconds; the queue is bounded."""
    for name in BESIDE:
        subprocess.Popen([sys.executable, "-m", f"tracker.{name}"])
    kept = os.urandom(4096) * 256 * 60  # what a service of this size has: code and models
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, mp_context=context, initializer=pool_worker.begin) as pool:
        running = set()
        for number in range(sys.maxsize):
            running.add(pool.submit(pool_worker.track, number))
            if len(running) > 2:
                _, running = wait(running, return_when="FIRST_COMPLETED")
            time.sleep(EVERY_S)
    del kept


if __name__ == "__main__":
    main()
