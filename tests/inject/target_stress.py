"""Eight C threads and four Python threads that allocate at full speed; main waits for lines.

    target_stress.py LIBRARY        (target_malloc.c, compiled with -DAS_LIBRARY -shared)

Each line of input is answered with {"rounds", "errors", "python_rounds", "python_errors"}.
"""

import ctypes
import json
import sys
import threading

library = ctypes.CDLL(sys.argv[1])
rounds = [0] * 4
errors = [0] * 4


def work(place):
    held = {}
    number = 0
    while True:
        number += 1
        key = number % 997
        text, numbers, total = held.get(key, ("", [], 0))
        if sum(numbers) != total or text != "x" * len(numbers):
            errors[place] += 1
        size = number * 7919 % 200
        made = list(range(number, number + size))
        held[key] = ("x" * size, made, sum(made))
        cycle = [made]
        cycle.append(cycle)
        rounds[place] += 1


if library.malloc_begin(8):
    sys.exit(2)
for place in range(4):
    threading.Thread(target=work, args=(place,), daemon=True).start()
answer = (ctypes.c_uint64 * 2)()
while True:
    library.malloc_report(answer)
    print(
        json.dumps(
            {
                "rounds": answer[0],
                "errors": answer[1],
                "python_rounds": sum(rounds),
                "python_errors": sum(errors),
            }
        ),
        flush=True,
    )
    if not sys.stdin.readline():
        break
