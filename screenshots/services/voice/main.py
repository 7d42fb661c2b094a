"""Starts a process for each session; one user asks for forty of them."""

import multiprocessing
import os
import time

SESSIONS, FIRST_S, EVERY_S = 40, 25.0, 4.0


def job(number: int) -> None:
    """One session: what it needs, it takes when it starts."""
    with open("/proc/self/comm", "w") as file:
        file.write("job_process")
    models = os.urandom(4096) * 256 * (22 + number % 3)
    while models:
        time.sleep(5)


def main() -> None:
    """Start them, and then serve."""
    kept = os.urandom(4096) * 256 * 40
    context = multiprocessing.get_context("forkserver")
    jobs = []
    time.sleep(FIRST_S)
    for number in range(SESSIONS):
        jobs.append(context.Process(target=job, args=(number,)))
        jobs[-1].start()
        time.sleep(EVERY_S)
    while kept:
        time.sleep(5)


if __name__ == "__main__":
    main()
