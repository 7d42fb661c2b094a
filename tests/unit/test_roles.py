"""Roles: every recorded tree, every line of the table, the rules of kinship, and hostile names."""

import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtop.model import roles
from memtop.model.program import program_of, shortened
from memtop.model.roles import RULES, Kin, Role, is_python, role_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from proctree import ordered, recorded_trees

TREES = recorded_trees()
PYTHON = "/usr/local/bin/python3.12"
ROLES = ("main", "forkserver", "tracker", "worker", "helper", "other")
LONGEST_COMMAND = 4096


def kin(command, name=None, exe=None):
    """A process; its name is what the kernel makes of the command when it starts."""
    return Kin(name or command.split(" ")[0].rpartition("/")[2][:15], command, exe)


def roles_of(*generations):
    """The role of the last of several, each the parent of the next; a string is a command."""
    parent = role = None
    for one in generations:
        own = kin(one) if isinstance(one, str) else one
        role = role_of(own, parent, role)
        parent = own
    return role


def frameworks(recorded):
    """The names of a recorded framework, `execnet/pytest-xdist` and `torch DataLoader` are two."""
    return recorded.replace("/", " ").split()


def recorded_kin(process, with_exe):
    return Kin(process["comm"], " ".join(process["argv"]), process["exe"] if with_exe else None)


@pytest.mark.parametrize("with_exe", [True, False], ids=["all rights", "no rights"])
@pytest.mark.parametrize("name", TREES)
def test_recorded_trees(name, with_exe):
    """Each process has the role that a person gave it, also where executables cannot be read."""
    found, expected = {}, {}
    known = {}
    for process, parent in ordered(TREES[name]):
        above = known[parent["pid"]] if parent else (None, None)
        own = recorded_kin(process, with_exe)
        role = role_of(own, *above)
        known[process["pid"]] = (own, role)
        if process["kind"] is None:
            continue
        framework = role.framework
        if process["framework"] and framework in frameworks(process["framework"]):
            framework = process["framework"]
        found[process["pid"]] = (role.role, framework if process["framework"] else None)
        expected[process["pid"]] = (process["kind"], process["framework"])
    assert found == expected


@pytest.mark.parametrize("rule", RULES, ids=[f"{one.where}: {one.example[:40]}" for one in RULES])
def test_every_rule_has_an_example(rule):
    """The example of a rule has the rule's role and framework, and no earlier rule takes it."""
    if rule.where == roles.NAME:
        own = Kin(rule.example, "python train.py", None)
    elif rule.where == roles.PROGRAM:
        own = kin(f"/venv/bin/python /venv/bin/{rule.example}", exe=PYTHON)
    else:
        own = kin(rule.example)
    parent = kin("python service.py")

    role = role_of(own, parent, Role("main", None, "service"))

    assert (role.role, role.framework) == (rule.role, rule.framework)
    assert role.label


@pytest.mark.parametrize("rule", [one for one in RULES if one.where == roles.PROGRAM])
def test_programs_are_known_as_modules_too(rule):
    """A framework is the same when Python is told its module, with options of Python before."""
    role = roles_of(f"python3.12 -X dev -Wd -um {rule.example}")

    assert (role.role, role.framework) == ("main", rule.framework)


FORKSERVER = "python -c from multiprocessing.forkserver import main; main(5, 7, [])"
LIVEKIT = "python -c from multiprocessing.forkserver import main; main(1, 8, ['livekit.agents.ipc']"
XDIST = "python -u -c import sys;exec(eval(sys.stdin.readline()))"

# Commands from the first ancestor on; role, framework and label of the last of them.
CASES = {
    "the first Python of a container": (["python app.py"], "main - app"),
    "a service below a shell": (["bash", "python -m shop.main"], "main - shop.main"),
    "gunicorn below a shell": (
        ["/bin/sh -c exec gunicorn app", "/venv/bin/python /venv/bin/gunicorn app"],
        "main gunicorn gunicorn",
    ),
    "gunicorn that a Python entry point starts": (
        ["python entrypoint.py", "/venv/bin/python /venv/bin/gunicorn -w 2 app"],
        "main gunicorn gunicorn",
    ),
    "a worker of it": (
        ["python entrypoint.py", "python /venv/bin/gunicorn app", "python /venv/bin/gunicorn app"],
        "worker gunicorn gunicorn worker",
    ),
    "a job started with -c": (
        ["python /app/storm.py", "python -c import time; work() --job=3"],
        "worker - storm worker",
    ),
    "a job of a server, started with -c": (
        ["/venv/bin/python /venv/bin/uvicorn app:app", "/venv/bin/python -c job() 40"],
        "worker uvicorn uvicorn worker",
    ),
    "a job that is a script beside its service's": (
        ["python /app/main.py", "python /app/jobs/resize.py --job=3"],
        "worker - resize",
    ),
    "a job that is a module": (["python main.py", "python -m shop.job 3"], "worker - shop.job"),
    "a service that lies elsewhere": (["python /ci/run.py", "python /app/main.py"], "main - main"),
    "a service that a prompt started": (["python3", "python app.py"], "main - app"),
    "a service that a script on stdin started": (["python3 -", "python -c go()"], "main - python"),
    "a service that a test started": (["python -m pytest -n 2", "python -c go()"], "main - python"),
    "a service that a test in a worker of pytest-xdist started": (
        ["pytest -n 2", XDIST, "python app.py"],
        "main - app",
    ),
    "a service that a test started, run as a folder": (
        ["python -B /venv/lib/python3.12/site-packages/pytest/__main__.py -q", "python app.py"],
        "main - app",
    ),
    "a pool in a test": (
        ["python -m pytest", "python -m pytest"],
        "worker multiprocessing pytest worker",
    ),
    "below supervisord": (
        ["/usr/bin/python3 /usr/bin/supervisord", "python webapp.py"],
        "main - webapp",
    ),
    "below circusd, which renames itself": (["circusd", "python webapp.py"], "main - webapp"),
    "honcho's own": (["python /v/honcho start"] * 2, "helper honcho honcho helper"),
    "below honcho's own": (
        [
            "python /v/honcho start",
            "python /v/honcho start",
            "/bin/sh -c python app.py",
            "python app.py",
        ],
        "main - app",
    ),
    "below watchmedo": (["python /v/watchmedo auto-restart", "python app.py"], "main - app"),
    "hypercorn's": (
        [
            "python /v/hypercorn -w 2 app",
            "python -c from multiprocessing.spawn import spawn_main; x",
        ],
        "worker hypercorn hypercorn worker",
    ),
    "a pool within a worker of uvicorn": (
        [
            "python /v/uvicorn --workers 2 app",
            "python -c from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5)",
            "python -c from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=9)",
        ],
        "worker multiprocessing spawn worker",
    ),
    "the forkserver's": (
        ["python app.py", FORKSERVER, FORKSERVER],
        "worker multiprocessing forkserver worker",
    ),
    "forked by a child of a forkserver": (
        ["python app.py", FORKSERVER, FORKSERVER, FORKSERVER],
        "worker multiprocessing forkserver worker",
    ),
    "another forkserver below": (
        [
            "python app.py",
            FORKSERVER,
            FORKSERVER,
            "python -c from multiprocessing.forkserver import main; main(9, 11, [])",
        ],
        "forkserver multiprocessing forkserver",
    ),
    "the forkserver's, renamed": (
        ["python -m tracker.main", FORKSERVER, "pool_worker"],
        "worker multiprocessing pool_worker",
    ),
    "livekit's": (
        ["python agent.py start", LIVEKIT, LIVEKIT],
        "worker multiprocessing job_process",
    ),
    "renamed in comm only": (
        ["python app.py", Kin("pool_worker", "python app.py", None)],
        "worker multiprocessing pool_worker",
    ),
    "renamed twice": (
        ["python app.py", Kin("pw-main", "pool_worker", PYTHON)],
        "worker multiprocessing pool_worker",
    ),
    "renamed, without rights": (
        ["python app.py", Kin("pw-main", "pool_worker", None)],
        "worker multiprocessing pool_worker",
    ),
    "a whole service that renames itself, without rights": (
        [
            Kin("myservice: mast", "myservice: master [prod]", None),
            Kin("pw-main", "pool_worker", None),
            Kin("frame_worker-0", "frame_worker-0", None),
        ],
        "worker multiprocessing frame_worker",
    ),
    "the same program again, by another path": (
        ["python manage.py runserver", "/venv/bin/python manage.py runserver"],
        "worker django django worker",
    ),
    "the same program again, through its interpreter": (
        [
            Kin("flask", "python3.11 /v/flask run", None),
            Kin("python3.11", "python3.11 /v/flask run", None),
        ],
        "worker flask flask worker",
    ),
    "a worker that the DataLoader forked": (
        ["python train.py", Kin("pt_data_worker", "python train.py", PYTHON)],
        "worker torch DataLoader worker",
    ),
    "a rank of torchrun": (
        ["python /v/torchrun --nproc-per-node 2 train.py", "python -u train.py"],
        "worker torch train",
    ),
    "a worker of rq below its pool": (
        [
            "python /v/rq worker-pool",
            Kin("rq:worker:36c75", "rq:worker:36c7536e: Listening on default", None),
        ],
        "worker rq rq worker",
    ),
    "a kernel of a notebook": (
        ["python /v/jupyter-lab", "python -m ipykernel_launcher -f /k.json"],
        "worker jupyter jupyter kernel",
    ),
    "a kernel of an editor": (
        ["node", "python -m ipykernel_launcher -f /k.json"],
        "main jupyter jupyter kernel",
    ),
    "a worker of a raylet": (
        ["python app.py", "/ray/core/src/ray/raylet/raylet --id", Kin("ray::f", "ray::f", None)],
        "worker ray ray worker",
    ),
    "a scheduler within celery": (
        ["python /v/celery -A app worker -B", Kin("[celery beat]", "[celery beat]", None)],
        "helper celery celery beat",
    ),
    "a scheduler of its own": (["[celery beat] -A app beat"], "main celery celery"),
    "uwsgi": (["/v/uwsgi --master"] * 2, "worker uwsgi uwsgi worker"),
    "uwsgi's, renamed": (["uWSGI master", "uWSGI worker 1"], "worker uwsgi uwsgi worker"),
    "run by a debugger": (
        ["python -m debugpy --listen 5678 -m uvicorn app:app --workers 2"],
        "main uvicorn uvicorn",
    ),
    "run by a profiler": (["python -m memray run -o out.bin /app/main.py"], "main - main"),
    "a frozen program's": (
        ["/app/shop", "/app/shop --multiprocessing-fork tracker_fd=5 pipe_handle=7"],
        "worker multiprocessing spawn worker",
    ),
    "a zombie of a service": (["python app.py", Kin("python", "", None)], "worker - app worker"),
    "a zombie of gunicorn": (
        [Kin("gunicorn", "python /v/gunicorn app", None), Kin("gunicorn", "", None)],
        "worker gunicorn gunicorn worker",
    ),
    "another program of a service": (["python app.py", "ffmpeg -i -"], "other - ffmpeg"),
    "a database below a service, without rights": (
        ["python app.py", Kin("redis-server", "redis-server *:6379", None)],
        "other - redis-server",
    ),
    "a shell's child": (["bash", "sleep 5"], "other - sleep"),
    "a kernel thread": (
        [Kin("kthreadd", "", None), Kin("kworker/0:1", "", None)],
        "other - kworker/0:1",
    ),
    "a shell with the words of a worker": (
        ["bash", "bash -c python -c from multiprocessing.spawn import spawn_main; x"],
        "other - bash",
    ),
    "a search for a service": (["bash", "pgrep -f multiprocessing.forkserver"], "other - pgrep"),
    "an editor of a service": (["vim /app/gunicorn"], "other - vim"),
    "a shell with the words of a service": (["sh -c gunicorn app:app"], "other - sh"),
}


@pytest.mark.parametrize("case", CASES)
def test_kinship(case):
    """Who starts whom decides what a process is where its own words do not."""
    generations, expected = CASES[case]
    role, framework, label = expected.split(" ", 2)

    assert roles_of(*generations) == Role(role, None if framework == "-" else framework, label)


def test_unknown_parents():
    """A process whose parent is not known, or not judged yet, is judged by itself."""
    own = kin("python app.py")

    assert role_of(own, kin("python app.py"), None) == role_of(own, None, None)
    assert role_of(own, None, Role("main", None, "x")).role == "main"


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (Kin("app", "app", "/usr/bin/python3.11"), True),
        (Kin("app", "app", "/usr/bin/python3.11 (deleted)"), True),
        (Kin("app", "/opt/x/python3.13t app.py", None), True),
        (Kin("pypy3.10", None, None), True),
        (Kin("app", "/usr/bin/python3-dbg x.py", None), True),
        (Kin("uwsgi", "/v/uwsgi", "/v/uwsgi"), False),
        (Kin("ipython", "ipython", None), False),
        (Kin("python-config", "/bin/sh python-config", "/bin/dash"), False),
        (Kin("micropython", "micropython", None), False),
        (Kin("bash", "bash -c python", "/bin/bash"), False),
        (Kin("python\n", "", None), False),
    ],
)
def test_interpreters(own, expected):
    """A Python is known by its executable, its first argument or its name, and by nothing else."""
    assert is_python(own) is expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python app.py --x", ("script", "app.py --x")),
        ("python -u -X dev -W error -Bc code() a", ("-c", "code() a")),
        ("python -Xdev -m shop.main serve", ("-m", "shop.main serve")),
        ("python -mshop", ("-m", "shop")),
        ("python --check-hash-based-pycs always -OO app.py", ("script", "app.py")),
        ("python -m coverage run --branch -m shop.main", ("-m", "shop.main")),
        ("python -", ("", "")),
        ("python -i", ("", "")),
        ("python", ("", "")),
        ("pool_worker", ("bare", "pool_worker")),
    ],
)
def test_programs(command, expected):
    """What a Python runs is found behind its options and before the arguments."""
    assert program_of(command) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("frame_worker-0", "frame_worker"),
        ("job:4f2a9c31 user 7", "job"),
        ("gunicorn: worker [shop]", "gunicorn: worker"),
        ("worker #3 (idle)", "worker"),
        ("mp3 encoder", "mp3 encoder"),
        ("42", "42"),
        ("a \n b", "a b"),
    ],
)
def test_titles_are_shortened(title, expected):
    """Processes of a kind have one name, without their numbers and what they are doing."""
    assert shortened(title) == expected


HOSTILE = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="-/. :[](){}_cmWX\n\udcff0aé…", max_size=200),
    st.sampled_from([one.example for one in RULES]),
)


@settings(deadline=None, max_examples=200)
@given(
    name=HOSTILE,
    command=st.one_of(st.none(), HOSTILE, HOSTILE.map("python ".__add__)),
    exe=st.one_of(st.none(), st.just(PYTHON), HOSTILE),
    above=st.one_of(st.none(), HOSTILE),
    role=st.sampled_from(ROLES),
    framework=st.one_of(st.none(), st.sampled_from([one.framework for one in RULES])),
)
def test_anything_has_a_role(name, command, exe, above, role, framework):
    """No name, command or executable is an error, and a label is short."""
    parent = None if above is None else kin(above, name="x")

    result = role_of(Kin(name, command, exe), parent, Role(role, framework, "label"))

    assert result.role in ROLES
    assert result.role != "other" or result.framework is None
    assert len(result.label) <= max(50, len(name))


PIECES = ["a", "/", "-", "0", " ", "(", "[", "\n", "\udcff", "…", "_-", "a.b ", "x: ", "-c ", "-W "]
PIECES += ["python ", "[celeryd: ", "granian ", "ray::", "/ray/dashboard/", "loky.backend.", "/a"]
PIECES += ["from multiprocessing.forkserver import main; main(", "import sys;exec(", "dask_"]


@pytest.mark.parametrize("begin", ["", "python ", "python -m debugpy ", "[celeryd: ", "granian "])
def test_no_command_is_slow(begin):
    """A role costs less than a few milliseconds, whatever 4 KiB of command line there are."""
    parent, lead = kin("python x.py"), Role("main", None, "x")
    slowest = 0.0
    for one in PIECES:
        for other in PIECES:
            command = (begin + (one + other) * LONGEST_COMMAND)[:LONGEST_COMMAND]
            spent = []
            for _ in range(2):  # the faster of two: caches may have been cold
                before = time.thread_time()
                role_of.__wrapped__(Kin(command[:15], command, None), parent, lead)
                spent.append(time.thread_time() - before)
            slowest = max(slowest, min(spent))
    assert slowest < 0.02
