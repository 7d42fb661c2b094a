"""An interpreter in an unusual state: `ending` within its finalization, `several` with others."""

import os
import sys
import time


class Last:
    """Outlives the main module, so that it is freed when the interpreter has begun to end."""

    def __del__(self, write=os.write, read=os.read):
        write(1, b'{"ready": true}\n')
        read(0, 1)


if sys.argv[1] == "ending":
    kept = Last()
else:
    try:
        import _interpreters as interpreters
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            print('{"trouble": "this Python cannot make another interpreter"}', flush=True)
            sys.exit()
    kept = interpreters.create()
    print('{"ready": true}', flush=True)
    time.sleep(1000)
