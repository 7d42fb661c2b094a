"""One request: the pages pile up until the document is complete."""

import os
import sys
import time

PAGES, PAGE_S = 44, 0.25

if __name__ == "__main__":
    begin, pages = time.monotonic(), []
    while time.monotonic() - begin < int(sys.argv[2]):
        if len(pages) < PAGES:
            pages.append(os.urandom(4096) * 256 * 10)
        time.sleep(PAGE_S)
