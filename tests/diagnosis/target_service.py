"""A service with workers: `target_service.py CHILDREN MB [KIND [MB a second]]`.

It starts so many children of the same size, one after the other, once it is told to by a line.
With a KIND the last one does that to its memory (see target_memory.py).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

number, megabytes = int(sys.argv[1]), int(sys.argv[2])
CHILD = "import sys; b = bytearray(int(sys.argv[1]) << 20); b[::4096] = b'x' * len(b[::4096]); "
CHILD += "sys.stdin.read()"

print(json.dumps({"pid": os.getpid()}), flush=True)
born = []
for _ in sys.stdin:
    for place in range(number):
        command = [sys.executable, "-c", CHILD, str(megabytes)]
        if sys.argv[3:] and place == number - 1:
            command = [
                sys.executable,
                str(Path(__file__).parent / "target_memory.py"),
                *sys.argv[3:],
            ]
        out = subprocess.DEVNULL
        born.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out))
    print(json.dumps({"children": [one.pid for one in born]}), flush=True)
for one in born:
    one.kill()
