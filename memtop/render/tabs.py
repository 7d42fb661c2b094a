"""The tabs of the detail pane, in their order."""

from __future__ import annotations

ANATOMY, OBJECTS, WHY, LOG = "anatomy", "objects", "why", "log"
TABS = ("chart", ANATOMY, OBJECTS, "cgroup", "process", WHY, LOG)
GROUP_TABS = ("chart", "cgroup", WHY, LOG)
# Those that read a process, with the command that does the same.
INSIDE = {ANATOMY: "anatomy", OBJECTS: "census", WHY: "diagnose"}
