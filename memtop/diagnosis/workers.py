"""How servers and pools bound their workers: a new one now and then, or fewer at once.

The flag and the value of each framework, adapted to what its command line has already and to the
version of Python. A table; what is not in it gets a general answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from memtop.diagnosis.evidence import Evidence, Subject

TASKS, REQUESTS, JITTER = 50, 1000, 200
CELERY_SHARE = 0.6  # of the limit that all children together may have


class Bound(NamedTuple):
    """`option` matches what is in force already, `recycle` replaces workers, `fewer` caps them."""

    option: str
    recycle: str
    fewer: str


# gunicorn: docs, settings, max_requests (jitter does nothing without it: benoitc/gunicorn#1978).
# hypercorn, granian, uvicorn: their command lines. uwsgi: docs, Options. dask: distributed, worker.
# livekit: agents, WorkerOptions. ray: ray.remote(max_calls). celery: docs, worker_max_memory_per_
# child (KiB, looked at after each task).
BOUNDS: dict[str, Bound] = {
    "gunicorn": Bound(
        r"--max-requests[ =]\d+",
        f"--max-requests {REQUESTS} --max-requests-jitter {JITTER}",
        "a smaller --workers",
    ),
    "hypercorn": Bound(
        r"--max-requests[ =]\d+",
        f"--max-requests {REQUESTS} --max-requests-jitter {JITTER}",
        "a smaller --workers",
    ),
    "uvicorn": Bound(
        r"--limit-max-requests[ =]\d+",
        f"--limit-max-requests {REQUESTS} (with --workers, or something that starts it again)",
        "--limit-concurrency",
    ),
    "granian": Bound(
        r"--workers-(?:max-rss|lifetime)[ =]\d+", "--workers-lifetime 3600", "a smaller --workers"
    ),
    "uwsgi": Bound(
        r"--(?:max-requests|reload-on-rss)[ =]\d+", f"--max-requests {REQUESTS}", "--processes"
    ),
    "celery": Bound(
        r"--max-(?:memory|tasks)-per-child[ =]\d+",
        f"--max-tasks-per-child={TASKS}",
        "a smaller --concurrency",
    ),
    "dask": Bound(
        r"--lifetime[ =]\S+",
        "--lifetime 1h --lifetime-stagger 5m --lifetime-restart",
        "a smaller --nworkers",
    ),
    "livekit": Bound(
        r"\A\Z",
        "WorkerOptions(job_memory_limit_mb=N): a job that is larger is ended",
        "a lower load_threshold and num_idle_processes in WorkerOptions",
    ),
    "ray": Bound(r"\A\Z", f"@ray.remote(max_calls={TASKS})", "a larger num_cpus of each task"),
}


def framework_of(subject: Subject) -> str | None:
    """The framework whose options bound this process: `gunicorn`, `multiprocessing`."""
    texts = _commands(subject)
    if "livekit" in texts and subject.framework in (None, "multiprocessing", "livekit"):
        return "livekit"
    return subject.framework


def recycling(evidence: Evidence) -> str | None:
    """What gives it a new worker now and then; None if it is none, or nothing is known."""
    subject = evidence.subject
    framework = framework_of(subject)
    if framework == "multiprocessing" and subject.role == "worker":
        return _pool(subject)
    bound = BOUNDS.get(framework or "")
    if bound is None or (subject.role == "main" and framework not in ("uvicorn", "livekit")):
        return None
    if match := re.search(bound.option, _commands(subject)):
        return f"{match[0]} is in force already: a smaller number bounds it further"
    if framework == "celery" and (sized := _celery(evidence)):
        return sized
    return bound.recycle


def fewer(evidence: Evidence) -> str:
    """What caps how many there are at once."""
    framework = framework_of(evidence.subject)
    bound = BOUNDS.get(framework or "")
    if bound is not None:
        return bound.fewer
    if framework == "multiprocessing":
        return "a smaller max_workers (Pool: processes), or a semaphore where they are started"
    return "asyncio.Semaphore(N) where they are started, or a queue, and 429 beyond it"


def start_method(subject: Subject) -> str | None:
    """`forkserver`, `spawn` or `fork`, as the command lines tell it."""
    command = subject.command or ""
    if "forkserver" in command or "forkserver" in (subject.parent_command or ""):
        return "forkserver"
    if "spawn_main" in command or "--multiprocessing-fork" in command:
        return "spawn"
    return "fork" if subject.forked else None


def version_of(python: str | None) -> tuple[int, int] | None:
    """`3.11.7` as (3, 11); None if it is not known."""
    match = re.match(r"(\d+)\.(\d+)", python or "")
    return (int(match[1]), int(match[2])) if match else None


def _pool(subject: Subject) -> str:
    """concurrent.futures: max_tasks_per_child is there since 3.11, not with fork (gh-115634)."""
    pool = f"multiprocessing.Pool(maxtasksperchild={TASKS})"
    version = version_of(subject.python)
    if version is None or version < (3, 11):
        why = (
            ""
            if version is None
            else f" (the executor of Python {version[0]}.{version[1]} has no such)"
        )
        return pool + why
    method = start_method(subject)
    context = "spawn" if method == "spawn" else "forkserver"
    note = "; it cannot fork then" if method == "fork" else ""
    return (
        f'ProcessPoolExecutor(max_tasks_per_child={TASKS}, mp_context=get_context("{context}")) '
        f"(it may hang, see python/cpython gh-115634: try it first{note}), or {pool}"
    )


def _celery(evidence: Evidence) -> str | None:
    """So that all children together stay within the limit, if one child then still fits."""
    room, crowd = evidence.room, evidence.crowd
    if room is None or room.limit_bytes is None or crowd is None or crowd.processes < 1:
        return None
    kib = int(CELERY_SHARE * room.limit_bytes / crowd.processes / 1024)
    if kib * 1024 <= crowd.average_bytes:
        return "a smaller --concurrency: what a child needs is more than its share of the limit"
    return f"--max-memory-per-child={kib}"


def _commands(subject: Subject) -> str:
    return f"{subject.command or ''} {subject.parent_command or ''}"
