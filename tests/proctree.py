"""Process trees as they were recorded on real machines, and a /proc folder made of them.

A tree is one line of data/trees/trees.jsonl: processes with `kind`, the role that a person gave
them by eye (null: not judged). The folder has what memtop reads of a process, and no more.
"""

import json
from pathlib import Path

RECORDED = Path(__file__).parent / "data" / "trees" / "trees.jsonl"
PAGE_KIB = 4
# Several trees go into one folder; no recorded PID is as large.
PIDS_OF_A_TREE = 40_000


def recorded_trees():
    """All recorded trees, by name."""
    with RECORDED.open(encoding="utf-8") as file:
        trees = [json.loads(line) for line in file]
    return {tree["name"]: tree for tree in trees}


def ordered(tree):
    """The processes of a tree, parents first, each with its parent (None above the root)."""
    by_pid = {process["pid"]: process for process in tree["processes"]}
    todo = sorted(tree["processes"], key=lambda one: (one["starttime"], one["pid"]))
    return [(process, by_pid.get(process["ppid"])) for process in todo]


def write_procfs(folder, trees, *, with_exe=True):
    """Write trees below a folder; returns {PID there: (name of the tree, process)}."""
    (folder / "stat").write_text("cpu  1 1 1 1\nbtime 1700000000\n")
    (folder / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
    written = {}
    for number, tree in enumerate(trees):
        for process in tree["processes"]:
            pid = number * PIDS_OF_A_TREE + process["pid"]
            ppid = number * PIDS_OF_A_TREE + process["ppid"]
            _write_process(folder / str(pid), pid, ppid, process, with_exe)
            written[pid] = (tree["name"], process)
    return written


def _write_process(folder, pid, ppid, process, with_exe):
    folder.mkdir()
    pages = process["rss_kb"] // PAGE_KIB
    fields = ["0"] * 53  # numbered as in proc_pid_stat(5)
    fields[1], fields[2], fields[3] = str(pid), f"({process['comm']})", "S"
    fields[4], fields[5], fields[6] = str(ppid), str(pid), str(pid)
    fields[9] = "4194304"  # PF_RANDOMIZE, as most have
    fields[20], fields[22] = str(process["nthreads"]), str(process["starttime"])
    fields[23], fields[24] = str(process["rss_kb"] * 4096), str(pages)
    (folder / "stat").write_text(" ".join(fields[1:]) + "\n")
    (folder / "statm").write_text(f"{pages * 4} {pages} {pages // 3} 700 0 {pages} 0\n")
    (folder / "comm").write_text(process["comm"] + "\n")
    (folder / "status").write_text(
        f"Name:\t{process['comm']}\nState:\tS (sleeping)\nTgid:\t{pid}\nPid:\t{pid}\n"
        f"PPid:\t{ppid}\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n"
        f"NSpid:\t{pid}\nVmHWM:\t{process['rss_kb']} kB\nVmRSS:\t{process['rss_kb']} kB\n"
        f"VmSwap:\t0 kB\nThreads:\t{process['nthreads']}\n"
    )
    (folder / "cgroup").write_text("0::/\n")
    title = "\0".join(process["argv"]).encode("utf-8", "surrogateescape")
    (folder / "cmdline").write_bytes(title + b"\0" * process["nuls"])
    if with_exe:
        (folder / "exe").symlink_to(process["exe"])
    if process["cwd"]:
        (folder / "cwd").symlink_to(process["cwd"])
