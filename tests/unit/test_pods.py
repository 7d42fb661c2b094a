"""Names of containers and pods: cgroup paths, mounts, names of logs, and what a process tells."""

import os

import pytest

from memtop.probe import names as names_module
from memtop.probe import pods
from memtop.probe.names import PodNames
from memtop.probe.sample import Pod

ID, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4
UID = "8d9c5a52-1b1e-4c53-a4a5-0c0ffee00000"
SLICE = UID.replace("-", "_")
STATIC = "0123456789abcdef0123456789abcdef"
HOSTS = "1 2 8:1 {root} /etc/hosts rw - ext4 /dev/sda rw\n"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        # systemd driver: containerd, CRI-O, Docker; the three classes
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{SLICE}.slice"
            f"/cri-containerd-{ID}.scope",
            (ID, UID, "Burstable"),
        ),
        (
            f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{SLICE}.slice"
            f"/crio-{ID}.scope/container",
            (ID, UID, "BestEffort"),
        ),
        (
            f"/kubepods.slice/kubepods-pod{SLICE}.slice/docker-{ID}.scope",
            (ID, UID, "Guaranteed"),
        ),
        # cgroupfs driver
        (f"/kubepods/besteffort/pod{UID}/{ID}", (ID, UID, "BestEffort")),
        (f"/kubepods/pod{UID}/crio-{ID}", (ID, UID, "Guaranteed")),
        (f"/kubepods/burstable/pod{UID}", (None, UID, "Burstable")),
        # static pods
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice"
            f"/cri-containerd-{ID}.scope",
            (ID, STATIC, "Burstable"),
        ),
        # nested: kind, minikube, Docker in a pod, a cluster in a pod of another one
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice"
            f"/kubelet-kubepods-besteffort-pod{SLICE}.slice/cri-containerd-{ID}.scope",
            (ID, UID, "BestEffort"),
        ),
        (
            f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{SLICE}.slice"
            f"/cri-containerd-{ID}.scope",
            (ID, UID, "Guaranteed"),
        ),
        (f"/docker/{OTHER}/kubelet/kubepods/pod{UID}/{ID}", (ID, UID, "Guaranteed")),
        (f"/kubepods/pod{UID}/{OTHER}/docker/{ID}", (ID, UID, "Guaranteed")),
        (
            f"/kubepods/burstable/pod{STATIC}/{OTHER}/kubepods/pod{UID}/{ID}",
            (ID, UID, "Guaranteed"),
        ),
        # the runtime's driver is not kubelet's
        (
            f"/system.slice/containerd.service/kubepods-burstable-pod{SLICE}.slice"
            f":cri-containerd:{ID}",
            (ID, UID, "Burstable"),
        ),
        (f"/kubepods-burstable-pod{SLICE}.slice:cri-containerd:{ID}", (ID, UID, "Burstable")),
        # seen from another cgroup namespace
        (f"/../cri-containerd-{ID}.scope", (ID, None, None)),
        (f"/../../pod{UID}/{ID}", (ID, UID, None)),
        # the process that watches a container is not in it
        (
            f"/kubepods.slice/kubepods-pod{SLICE}.slice/crio-conmon-{ID}.scope",
            (None, UID, "Guaranteed"),
        ),
        # no pods
        (f"/docker/{ID}", (ID, None, None)),
        (f"/system.slice/docker-{ID}.scope", (ID, None, None)),
        (f"/libpod_parent/libpod-{ID}", (ID, None, None)),
        (f"/machine.slice/libpod-{ID}.scope/container", (ID, None, None)),
        (f"/machine.slice/libpod-conmon-{ID}.scope", None),
        # no containers
        ("/", None),
        ("", None),
        (None, None),
        ("/system.slice/kubelet.service", None),
        ("/kubepods.slice/kubepods-burstable.slice", None),
        (f"/user.slice/{ID}x", None),
        (f"/a{ID}", None),
        (f"/tripod{STATIC}", None),
    ],
)
def test_paths(path, expected):
    """Container, pod and class are found in every form of path that is known."""
    pod = pods.pod_of_path(path)

    assert (pod and (pod.container_id, pod.uid, pod.qos)) == expected
    assert pods.container_of(path) == (expected and expected[0])


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (f"/var/lib/kubelet/pods/{UID}/etc-hosts", (UID, None)),
        (f"/pods/{UID}/etc-hosts", (UID, None)),
        (f"/k0s/kubelet/pods/{STATIC}/containers/my-app/0a1b2c3d", (STATIC, "my-app")),
        (f"/var/lib/kubelet/pods/{UID}/volumes/kubernetes.io~empty-dir/x", None),
        (f"/var/lib/kubelet/pods/{UID}", None),
        ("/var/lib/kubelet/pods/x/etc-hosts", None),
        (f"/home/me/pods/{UID}/containers/../etc", None),
        ("/", None),
    ],
)
def test_mounts(root, expected):
    """Only what kubelet mounts into each container tells whose it is, wherever its folder is."""
    pod = pods.pod_of_mounts(["/", root])

    assert (pod and (pod.uid, pod.container)) == expected


def test_logs():
    """Names of log files are taken apart; those of another form are left out."""
    logs = pods.parse_logs(
        [
            f"web-7d9f-abc.de_shop_my-app-{ID}.log",
            f"web_shop_app-{ID[:-1]}.log",
            f"we$b_shop_app-{OTHER}.log",
            f"{OTHER}.log",
            "",
        ],
        [f"shop_web-0_{UID}", f"kube-system_etcd-node_{STATIC}", "shop_web-0_uid", "x"],
    )

    assert logs.containers == {ID: Pod(ID, "my-app", None, "web-7d9f-abc.de", "shop")}
    assert logs.pods == {
        UID: Pod(uid=UID, name="web-0", namespace="shop"),
        STATIC: Pod(uid=STATIC, name="etcd-node", namespace="kube-system"),
    }


class Process:
    """The folder of a written process, as a descriptor."""

    def __init__(self, root, pid, **files):
        self.folder = root / "proc" / str(pid)
        self.folder.mkdir(parents=True)
        self.write(**files)
        self.fd = os.open(self.folder, os.O_PATH)

    def write(self, **files):
        for name, text in files.items():
            (self.folder / name).write_text(text)


@pytest.fixture
def process(tmp_path):
    """Make processes of a written tree."""
    made = []

    def make(pid=7, **files):
        made.append(Process(tmp_path, pid, **files))
        return made[-1]

    yield make
    for one in made:
        os.close(one.fd)


@pytest.fixture
def tree(tmp_path):
    """Names in that tree, which is a copy and no machine of its own."""
    (tmp_path / "proc").mkdir(exist_ok=True)
    return PodNames(str(tmp_path / "proc"), live=False)


def test_the_name_in_the_environment(process, tree):
    """HOSTNAME is the name of the pod; of the environment nothing else is kept."""
    one = process(
        mountinfo=HOSTS.format(root=f"/pods/{UID}/etc-hosts"),
        environ="PATH=/bin\0HOSTNAME=web-0\0SECRET=hunter2\0",
    )

    assert tree.of(one.fd, "/") == Pod(uid=UID, name="web-0")
    assert "hunter2" not in repr(vars(tree))


@pytest.mark.parametrize(
    ("environ", "mountinfo"),
    [
        ("HOSTNAME=Not a name\0", f"/pods/{UID}/etc-hosts"),
        ("XHOSTNAME=web-0\0", f"/pods/{UID}/etc-hosts"),
        ("HOSTNAME=\0", f"/pods/{UID}/etc-hosts"),
        ("HOSTNAME=node-1.example\0", f"/pods/{UID}/etc-hosts"),
        ("HOSTNAME=node-1\0", f"/pods/{UID}/etc-hosts"),
    ],
)
def test_a_host_name_that_is_not_the_pods(process, tree, tmp_path, environ, mountinfo):
    """What cannot be a pod's name, or is the node's (host network), is not taken."""
    (tmp_path / "proc" / "sys" / "kernel").mkdir(parents=True)
    (tmp_path / "proc" / "sys" / "kernel" / "hostname").write_text("node-1.example\n")
    one = process(environ=environ, mountinfo=HOSTS.format(root=mountinfo))

    assert tree.of(one.fd, f"/docker/{ID}") == Pod(container_id=ID, uid=UID)


def test_outside_pods_the_environment_is_left_alone(process, tree):
    """Without a pod HOSTNAME says nothing: neither on the host nor in a plain container."""
    one = process(environ="HOSTNAME=web-0\0", mountinfo=HOSTS.format(root="/etc/hosts"))

    assert tree.of(one.fd, "/system.slice/x.service") is None
    assert tree.of(one.fd, f"/docker/{ID}") == Pod(container_id=ID)


def test_one_look_for_each_container(process, tree, monkeypatch):
    """Names are looked up once for a container, and again when some are still missing."""
    path = f"/kubepods/pod{UID}/{ID}"
    first = process(7, mountinfo=HOSTS.format(root=f"/pods/{UID}/containers/app/0a"))
    second = process(8, environ="HOSTNAME=web-0\0")
    clock = [1000.0]
    monkeypatch.setattr(names_module.time, "monotonic", lambda: clock[0])

    assert tree.of(first.fd, path) == Pod(ID, "app", UID, qos="Guaranteed")
    assert tree.of(second.fd, path) == Pod(ID, "app", UID, qos="Guaranteed")
    clock[0] += names_module.AGAIN_S
    assert tree.of(second.fd, path) == Pod(ID, "app", UID, "web-0", qos="Guaranteed")
    assert tree.known(path) == Pod(ID, "app", UID, "web-0", qos="Guaranteed")
    assert tree.known(f"/kubepods/pod{UID}") == Pod(None, None, UID, "web-0", qos="Guaranteed")
    assert tree.known("/kubepods") is None


def test_containers_of_a_pod_share_its_name(process, tree):
    """What one container tells of the pod is known of the others, which may be unreadable."""
    first = process(7, environ="HOSTNAME=web-0\0")
    second = process(8)

    tree.of(first.fd, f"/kubepods/pod{UID}/{ID}")

    pod = tree.of(second.fd, f"/kubepods/pod{UID}/{OTHER}")
    assert pod == Pod(OTHER, None, UID, "web-0", qos="Guaranteed")


def test_an_inner_cluster_is_told_apart(process, tree):
    """Mounts of the pod around do not name the pod inside."""
    outer = "11111111-2222-3333-4444-555555555555"
    one = process(mountinfo=HOSTS.format(root=f"/pods/{outer}/containers/kind/0a"))

    pod = tree.of(one.fd, f"/docker/{OTHER}/kubepods/pod{UID}/{ID}")

    assert pod == Pod(ID, None, UID, qos="Guaranteed")


def test_memtop_itself_is_in_no_pod_here():
    """On the live system, which is no pod, memtop's own process has no names."""
    own = os.open("/proc/self", os.O_PATH)
    try:
        pod = PodNames("/proc").of(own, "/some/cgroup")
    finally:
        os.close(own)
    assert pod is None or pod.uid


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("var/run", "/run"),
        ("var/run", "../run"),
        ("var", "/real/../elsewhere"),
        ("var/run/secrets", "/../../../../run/secrets"),
    ],
)
def test_links_stay_inside_a_root(tmp_path, link, target):
    """A link below the root of a container leads to the container's file, never to the host's."""
    root = tmp_path / "root"
    for folder in (root / "run" / "secrets", root / "elsewhere" / "run" / "secrets"):
        folder.mkdir(parents=True)
        (folder / "namespace").write_text("inside")
    (root / "real").mkdir()
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(target)
    top = os.open(root, os.O_PATH)

    fd = names_module.mounts.open_inside(top, "var/run/secrets/namespace", os.O_RDONLY)

    assert os.read(fd, 100) == b"inside"
    os.close(fd)
    os.close(top)


def test_links_that_never_end(tmp_path):
    """A loop of links is an error and no endless walk; nothing stays open."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    top = os.open(tmp_path, os.O_PATH)
    before = len(os.listdir("/proc/self/fd"))

    for path in ("a", "a/x", "missing", "missing/x"):
        with pytest.raises(OSError, match=r"links|No such"):
            names_module.mounts.open_inside(top, path, os.O_RDONLY)

    assert len(os.listdir("/proc/self/fd")) == before
    os.close(top)
