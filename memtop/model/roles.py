"""What a process is to its service: main, forkserver, tracker, worker, helper or other.

`role_of` tells it from names and command lines alone: those of the process and of its parent.
What a process says of itself is in one table, `RULES`: a framework is added there, with one line
and an example. What kinship says (a fork carries the command of its parent) is the code below.
It reads nothing. What memtop may not read, such as the executable of another user's process, is
None; the rest must do then.
"""

from __future__ import annotations

import re
from functools import lru_cache
from re import Pattern
from typing import NamedTuple

from memtop.model.program import (
    BARE,
    INLINE,
    MODULE,
    SCRIPT,
    is_interpreter,
    program_of,
    shortened,
)


class Kin(NamedTuple):
    """What is known about one process.

    `name` is comm. `command` is argv joined by blanks, masked and cut; "" for kernel threads and
    zombies, None if it could not be read. `exe` is None unless memtop may read the link.
    """

    name: str
    command: str | None
    exe: str | None


class Role(NamedTuple):
    """What a process is, in which framework, and what a group of its kind is called."""

    role: str
    framework: str | None
    label: str


# Where a rule looks.
CODE = "code"  # anywhere in the command of a Python: there may be flags before and arguments behind
TITLE = "title"  # at the begin of a command, whatever runs it: processes rewrite their own
NAME = "name"  # in comm, of which the kernel keeps 15 bytes
PROGRAM = "program"  # in what a Python runs: script without folder or module, and the arguments
NATIVE = "native"  # the same of a program that is not Python

SPAWNED = "spawn worker"


class Rule(NamedTuple):
    """Whoever matches is this. `label` is for a group of them, of a forkserver for its children."""

    where: str
    role: str
    framework: str | None
    pattern: Pattern[str]
    example: str
    label: str


def _rule(
    where: str, role: str, framework: str | None, pattern: str, example: str, label: str = ""
) -> Rule:
    if where in (PROGRAM, NATIVE):
        pattern = rf"(?:{pattern})(?=\s|\Z)"
    return Rule(where, role, framework, re.compile(pattern), example, label)


# dill (multiprocess) and celery (billiard) have forks of it.
_MP = r"from (?:multiprocess|multiprocessing|billiard)"

# The first that matches counts. A pattern that is searched for repeats nothing without a bound, so
# that no command line makes it slow.
RULES: tuple[Rule, ...] = (
    # CPython, Lib/multiprocessing: resource_tracker.py (semaphore_tracker.py until 3.7), spawn.py,
    # forkserver.py. The children of a forkserver carry its command; see `role_of`.
    _rule(
        CODE,
        "tracker",
        "multiprocessing",
        rf"{_MP}\.(?:resource|semaphore)_tracker import",
        "python -c from multiprocessing.resource_tracker import main;main(7)",
    ),
    _rule(
        CODE,
        "tracker",
        "loky",
        r"loky\.backend\.(?:resource|semaphore)_tracker import",
        "python -c from joblib.externals.loky.backend.resource_tracker import main; main(3, False)",
    ),
    _rule(
        CODE,
        "forkserver",
        "multiprocessing",
        rf"{_MP}\.forkserver import main; main\([^\[]{{0,40}}\['livekit\.agents\.",
        "python -c from multiprocessing.forkserver import main; main(16, 18, ['livekit.agents.ipc",
        "job_process",
    ),
    _rule(
        CODE,
        "forkserver",
        "multiprocessing",
        rf"{_MP}\.forkserver import main",
        "python -c import sys; from multiprocessing.forkserver import main; main(10, 11, [])",
        "forkserver worker",
    ),
    # torch/utils/data/_utils/worker.py renames comm only, of forked and spawned workers alike.
    _rule(NAME, "worker", "torch", r"pt_data_worker", "pt_data_worker", "DataLoader worker"),
    _rule(
        CODE,
        "worker",
        "loky",
        r"loky\.backend\.popen_loky",
        "python -m joblib.externals.loky.backend.popen_loky_posix --process-name LokyProcess-1",
    ),
    _rule(
        CODE,
        "worker",
        "multiprocessing",
        rf"{_MP}\.spawn import spawn_main|--multiprocessing-fork(?=\s|\Z)",
        "python -c from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=8, pipe_han",
        SPAWNED,
    ),
    _rule(
        CODE,
        "worker",
        "pytest-xdist",
        r"import sys;exec\(eval\(sys\.stdin\.readline\(\)\)\)",
        "python -u -c import sys;exec(eval(sys.stdin.readline()))",
    ),
    _rule(CODE, "worker", "ray", r"/ray/_private/workers/\w", "python /ray/_private/workers/d.py"),
    _rule(
        CODE,
        "helper",
        "ray",
        r"/ray/(?:_private|autoscaler/_private|dashboard)/\w{1,40}(?:/\w{1,40})?\.py",
        "python -u /venv/lib/python3.12/site-packages/ray/_private/log_monitor.py --logs-dir=/tmp",
    ),
    _rule(
        CODE,
        "helper",
        "circus",
        r"from circus import stats;",
        "python -c from circus import stats;",
    ),
    # Titles, most of them written with the setproctitle package.
    _rule(TITLE, "main", "gunicorn", r"(?:\[\w{1,9}\] )?gunicorn: master", "gunicorn: master [a]"),
    _rule(
        TITLE,
        "worker",
        "gunicorn",
        r"(?:\[\w{1,9}\] )?gunicorn: (?:dirty-)?worker",
        "[ready] gunicorn: worker [airflow-webserver]",
        "gunicorn: worker",
    ),
    _rule(TITLE, "helper", "gunicorn", r"gunicorn: dirty-arbiter", "gunicorn: dirty-arbiter"),
    _rule(
        TITLE,
        "worker",
        "celery",
        r"\[celeryd: [^\]]{1,200}Worker-\d{1,9}\]",
        "[celeryd: w1@node:ForkPoolWorker-1]",
    ),
    _rule(TITLE, "main", "celery", r"\[celeryd: ", "[celeryd: w1@node:MainProcess] -active- (-A x"),
    _rule(TITLE, "helper", "celery", r"\[celery beat\]\Z", "[celery beat]", "celery beat"),
    _rule(TITLE, "main", "celery", r"\[celery ", "[celery beat] -A app beat"),
    _rule(TITLE, "main", "rq", r"rq:worker:", "rq:worker:4f2: Listening on default"),
    _rule(TITLE, "worker", "dask", r"dask worker \[", "dask worker [tcp://127.0.0.1:32779]"),
    _rule(TITLE, "main", "dask", r"dask scheduler \[", "dask scheduler [tcp://10.0.0.1:8786]"),
    _rule(TITLE, "helper", "ray", r"ray::\w{0,60}Agent\Z", "ray::DashboardAgent", "ray agent"),
    _rule(TITLE, "worker", "ray", r"ray::", "ray::Counter.inc"),
    _rule(TITLE, "helper", "ray", r"ray-dashboard-", "ray-dashboard-NodeHead-0 (python)"),
    _rule(
        TITLE, "worker", "granian", r"granian .{1,300} worker-\d", "granian asgi [::]:80 worker-1"
    ),
    _rule(TITLE, "main", "granian", r"granian \w+ \S+:", "granian asgi 127.0.0.1:8804 webapp:asgi"),
    _rule(TITLE, "worker", "pytest-xdist", r"\[pytest-xdist ", "[pytest-xdist running] test_x.py"),
    _rule(TITLE, "main", "circus", r"circusd\Z", "circusd"),
    _rule(TITLE, "worker", "uwsgi", r"uWSGI (?:worker|mule) \d", "uWSGI worker 1"),
    _rule(TITLE, "main", "uwsgi", r"uWSGI master", "uWSGI master"),
    _rule(TITLE, "helper", "uwsgi", r"uWSGI \w", "uWSGI http 1"),
    _rule(TITLE, "worker", "mod_wsgi", r"\(wsgi:", "(wsgi:shop) -k start"),
    _rule(TITLE, "worker", "vllm", r"VLLM::", "VLLM::EngineCore"),
    _rule(TITLE, "main", None, r"[\w.-]{1,40}: master \[", "shop: master [prod]"),
    # Programs. A main may be a worker of the same framework; see `_by_rule`.
    _rule(NATIVE, "main", "uwsgi", r"(?:py)?uwsgi", "/venv/bin/uwsgi --master"),
    _rule(NATIVE, "helper", "ray", r"raylet|gcs_server", "/ray/raylet/raylet --raylet_id=1"),
    _rule(PROGRAM, "worker", "jupyter", r"ipykernel\w*", "ipykernel_launcher", "jupyter kernel"),
    _rule(PROGRAM, "main", "gunicorn", r"gunicorn(?:\.app\.wsgiapp)?", "gunicorn -w 2 app:app"),
    _rule(PROGRAM, "main", "uvicorn", r"uvicorn|fastapi (?:run|dev)", "uvicorn --workers 4 app"),
    _rule(PROGRAM, "main", "uwsgi", r"(?:py)?uwsgi", "pyuwsgi --master"),
    _rule(PROGRAM, "main", "hypercorn", r"hypercorn", "hypercorn -w 2 app:app"),
    _rule(PROGRAM, "main", "granian", r"granian", "granian --interface asgi app:app"),
    _rule(PROGRAM, "main", "daphne", r"daphne", "daphne -p 8000 app:app"),
    _rule(PROGRAM, "main", "waitress", r"waitress(?:-serve)?", "waitress-serve app:app"),
    _rule(PROGRAM, "main", "sanic", r"sanic", "sanic app:app --workers 4"),
    _rule(PROGRAM, "main", "flask", r"flask", "flask --app shop run"),
    _rule(PROGRAM, "main", "django", r"manage\.py runserver", "manage.py runserver 8000"),
    _rule(PROGRAM, "main", "celery", r"celery", "celery -A app worker -c 2"),
    _rule(PROGRAM, "main", "rq", r"rq|rqworker|manage\.py rqworker", "rq worker-pool -n 2"),
    _rule(
        PROGRAM,
        "main",
        "huey",
        r"(?:huey\.bin\.)?huey_consumer(?:\.py)?|manage\.py run_huey",
        "huey_consumer.py app.huey -k process",
    ),
    _rule(PROGRAM, "main", "dramatiq", r"dramatiq(?:-gevent)?", "dramatiq app -p 2"),
    _rule(PROGRAM, "main", "arq", r"arq", "arq shop.WorkerSettings"),
    _rule(PROGRAM, "main", "taskiq", r"taskiq", "taskiq worker shop:broker"),
    _rule(PROGRAM, "main", "airflow", r"airflow", "airflow scheduler"),
    _rule(
        PROGRAM,
        "main",
        "dask",
        r"dask(?:-worker|-scheduler)?|distributed\.cli\.dask_\w{1,20}",
        "dask worker tcp://10.0.0.1:8786",
    ),
    _rule(PROGRAM, "main", "ray", r"ray(?:\.scripts\.scripts)?", "ray start --head --block"),
    _rule(PROGRAM, "main", "vllm", r"vllm(?:\.entrypoints\S{1,60})?", "vllm serve model"),
    _rule(
        PROGRAM,
        "main",
        "torch",
        r"torchrun|torch\.distributed\.(?:run|launch)",
        "torch.distributed.run --nproc-per-node 2 train.py",
    ),
    _rule(
        PROGRAM,
        "main",
        "jupyter",
        r"(?:jupyter(?:hub|lab|_server)?|notebook)(?:-[a-z]{1,20})?",
        "jupyter-lab --no-browser",
    ),
    _rule(PROGRAM, "main", "streamlit", r"streamlit", "streamlit run app.py"),
    _rule(PROGRAM, "main", "locust", r"locust", "locust --processes 2"),
    _rule(
        PROGRAM,
        "main",
        "pytest",
        r"pytest|py\.test|_jb_pytest_runner\.py|run_pytest_script\.py",
        "pytest -n 2 tests",
    ),
    _rule(PROGRAM, "main", "tox", r"tox|nox", "tox run -e py312"),
    _rule(PROGRAM, "main", "unittest", r"unittest", "unittest discover"),
    _rule(PROGRAM, "main", "supervisor", r"(?:supervisor\.)?supervisord", "supervisord -n"),
    _rule(PROGRAM, "main", "circus", r"(?:circus\.)?circusd", "circusd circus.ini"),
    _rule(PROGRAM, "main", "honcho", r"honcho", "honcho start"),
    _rule(PROGRAM, "main", "watchfiles", r"watchfiles", "watchfiles 'python app.py' ."),
    _rule(PROGRAM, "main", "watchdog", r"watchmedo", "watchmedo auto-restart -- python app.py"),
)

# Who starts the programs of others: a child is the first process of its own service, and what
# they fork is there for them, or in a test for what is tested.
TESTERS = frozenset("pytest pytest-xdist tox unittest".split())
SUPERVISORS = frozenset("circus honcho supervisor watchdog watchfiles".split())
LAUNCHERS = TESTERS | SUPERVISORS

# The name of a program is rarely so, a title that a service gives its processes often is.
_WORKER_LIKE = re.compile(r"(?:\A|[^A-Za-z])(?:child|job|pool|process|task|worker)")


def is_python(own: Kin) -> bool:
    """Whether this is a Python interpreter by its executable, first argument or name."""
    exe = (own.exe or "").removesuffix(" (deleted)")
    return any(is_interpreter(one) for one in (own.name, exe, _first(own)))


@lru_cache(maxsize=4096)
def role_of(own: Kin, parent: Kin | None, parent_role: Role | None) -> Role:
    """The role of a process; that of its parent is known already, parents come first."""
    rule = _said(own, parent)
    lead = parent_role
    if parent is None or lead is None or lead.role == "other":
        parent = lead = None
    is_known = rule is not None and rule.where not in (PROGRAM, NATIVE)
    if parent is not None and lead is not None:
        if own.command and own.command == parent.command:
            return _forked(own, parent, lead, rule)
        if lead.role == "forkserver" and not is_known and (own.exe is None or is_python(own)):
            # It only forks: this one has rewritten its command.
            return Role("worker", lead.framework, _title(own, parent) or "forkserver worker")
        if lead.framework in LAUNCHERS and not is_known:
            parent = lead = None
    if rule is not None:
        return _by_rule(rule, own, lead)
    if parent is not None and lead is not None:
        return _by_kinship(own, parent, lead)
    if is_python(own):
        return Role("main", None, _program_name(own))
    return Role("other", None, own.name)


def _said(own: Kin, parent: Kin | None) -> Rule | None:
    """The first rule that matches what a process says of itself."""
    command = own.command or own.name
    first = _first(own)
    python = is_python(own)
    # A frozen program is its own interpreter: its children run the same file. So do a shell's,
    # with any text behind.
    frozen = parent is not None and first == _first(parent) and not first.endswith("sh")
    program = program_of(command)
    base = program.file + program.text[len(program.path) :]
    texts = {
        CODE: command if python or frozen else "",
        TITLE: command,
        NAME: own.name,
        PROGRAM: base if python else "",
        NATIVE: "" if python else base,
    }
    for rule in RULES:
        text = texts[rule.where]
        if text and (rule.pattern.search if rule.where == CODE else rule.pattern.match)(text):
            return rule
    return None


def _by_rule(rule: Rule, own: Kin, lead: Role | None) -> Role:
    role, framework, label = rule.role, rule.framework, rule.label
    if role == "main" and lead is not None and framework and lead.framework == framework:
        role = "worker"  # its main has started it as another program, or it has a title
    elif role == "worker" and lead is None and rule.where == PROGRAM:
        role = "main"  # alone, such as a kernel that an editor has started
    if role == "forkserver":
        label = "forkserver"
    elif role == "tracker":
        label = "resource_tracker"
    elif label == SPAWNED and lead is not None and lead.role == "main":
        if lead.framework and lead.framework not in LAUNCHERS:
            framework, label = lead.framework, f"{lead.framework} worker"
    elif not label:
        name = framework or _program_name(own)
        label = name if role == "main" else f"{name} {role}"
    return Role(role, framework, label)


def _forked(own: Kin, parent: Kin, lead: Role, rule: Rule | None) -> Role:
    """A process with the command of its parent: forked from it, or the same program again."""
    if rule is not None and rule.where == NAME:
        return Role("worker", rule.framework, rule.label)
    if lead.framework in SUPERVISORS:
        return Role("helper", lead.framework, f"{lead.framework} helper")
    framework = None if lead.framework in TESTERS else lead.framework
    if renamed := _title(own, parent):
        label = renamed
    elif lead.role == "forkserver" and rule is not None:
        label = rule.label
    elif lead.role == "worker":
        label = lead.label
    else:
        label = f"{framework or _program_name(parent)} worker"
    return Role("worker", framework or "multiprocessing", label)


def _by_kinship(own: Kin, parent: Kin, lead: Role) -> Role:
    """A process that no rule knows, within a service."""
    renamed = _title(own, parent)
    if is_python(own):
        if not _is_same_service(own, parent, lead):
            return Role("main", None, _program_name(own))
        if renamed:
            return Role("worker", lead.framework or "multiprocessing", renamed)
        if program_of(own.command or "").kind in (SCRIPT, MODULE):
            return Role("worker", lead.framework, _program_name(own))
        return Role("worker", lead.framework, _label_of_a_child(parent, lead))
    if own.exe is None:
        if not own.command and own.name == parent.name:
            return Role("worker", lead.framework, _label_of_a_child(parent, lead))
        if renamed and _is_rewritten(own):
            return Role("worker", lead.framework or "multiprocessing", renamed)
    return Role("other", None, own.name)


def _label_of_a_child(parent: Kin, lead: Role) -> str:
    if lead.role == "worker":
        return f"job of {lead.label}".replace("job of job of", "job of")
    return f"{lead.framework or _program_name(parent)} worker"


def _is_same_service(own: Kin, parent: Kin, lead: Role) -> bool:
    """Whether a Python child does its parent's work, and is not a service that it has started.

    A service starts its jobs with -c, as modules, from scripts beside its own, with the commands
    of its environment. A script that lies elsewhere is another service; so is whatever a Python
    starts that has no program itself (a prompt), and a script that was started from -c.
    """
    if lead.role != "main" or lead.framework is not None or not parent.command:
        return True
    mine, its = program_of(own.command or ""), program_of(parent.command)
    if not its.kind or (its.kind == INLINE and mine.kind in (SCRIPT, MODULE)):
        return False
    if not (mine.kind == its.kind == SCRIPT and mine.path[:1] == its.path[:1] == "/"):
        return True  # what is relative to a working directory is not known
    folder, its_folder = (path.rpartition("/")[0] + "/" for path in (mine.path, its.path))
    near = folder.startswith(its_folder) or its_folder.startswith(folder)
    return near or folder.endswith("/bin/") or "/lib/python" in folder


def _is_rewritten(own: Kin) -> bool:
    """Whether a process that may be anything has, by its words, written its command itself."""
    command, first = own.command or "", _first(own)
    started_so = "/" in first or (first == own.name and first != command)
    return not started_so and _WORKER_LIKE.search(command) is not None


def _first(own: Kin) -> str:
    return (own.command or "").partition(" ")[0]


def _program_name(own: Kin) -> str:
    return program_of(own.command or "").name or own.name


def _title(own: Kin, parent: Kin) -> str:
    """The name that a process has given itself, without details; "" if it has its parent's."""
    command = own.command or ""
    if command != parent.command:
        is_title = command and program_of(command).kind == BARE
        return shortened(command) if is_title else ""
    if own.name != parent.name and not is_interpreter(own.name):
        return shortened(own.name)
    return ""
