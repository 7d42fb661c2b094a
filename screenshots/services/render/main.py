"""Renders each request in a process under RLIMIT_AS; nothing bounds how many run at once."""

import os
import resource
import subprocess
import sys
import time

LIMIT_BYTES = 512 << 20
REQUESTS = ((50, 40), (140, 120), (205, 60))  # when it comes, and how long it takes; seconds


def limited() -> None:
    """What a child may have."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))


def main() -> None:
    """Start a process for each request."""
    kept = os.urandom(4096) * 256 * 60
    begin, running = time.monotonic(), []
    for at, seconds in REQUESTS:
        while time.monotonic() - begin < at:
            running = [one for one in running if one.poll() is None]
            time.sleep(0.5)
        command = [sys.executable, "-m", "render.request", "--pdf", str(seconds)]
        running.append(subprocess.Popen(command, preexec_fn=limited))
    while kept:
        running = [one for one in running if one.poll() is None]
        time.sleep(0.5)


if __name__ == "__main__":
    main()
