"""A Kubernetes cluster of one node: the real API server, scheduler, controllers and kubelet, with containerd.

Its pods use this machine's network, as every server of the tests is on loopback: there is no other one.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from . import HOST, ServerError, free_port

_LONGEST = 90  # seconds until the node must be ready
_NODE = "localhost"  # its name is where the API server finds its kubelet
_CONTROLLERS = (
    "job,deployment,replicaset,ttl-after-finished,garbagecollector,namespace,podgc,nodelifecycle,"
    "serviceaccount,serviceaccount-token"
)


class NoCluster(Exception):
    """There is no cluster, and none can be started; the message says what to do."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers, the file by which clients find it, and the process of its kubelet."""

    url: str
    kubeconfig: Path
    certificate: Path
    binaries: Path
    socket: Path
    kubelet: subprocess.Popen[bytes] | None = None

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator."""
        command = [str(self.binaries / "kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise ServerError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """What kubectl gets, as JSON; None if there is no such thing."""
        return json.loads(self.kubectl("get", *arguments, "--ignore-not-found", "-o", "json") or "null")

    def load(self, image: str) -> None:
        """Import an image of the Docker engine's."""
        save = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
        subprocess.run([*self._ctr, "images", "import", "-"], stdin=save.stdout, check=True, capture_output=True)
        if save.wait():
            raise ServerError(f"docker save {image} ended with {save.returncode}")

    def kill(self, namespace: str, pod: str) -> None:
        """Kill a pod's container, as a crash of its machine would: behind the back of its kubelet."""
        found = self.get("pod", "-n", namespace, pod)["status"]["containerStatuses"][0]["containerID"]
        command = [*self._ctr, "tasks", "kill", "-s", "SIGKILL", found.rpartition("/")[2]]
        subprocess.run(command, check=True, capture_output=True)

    @property
    def _ctr(self) -> list[str]:
        return [str(self.binaries / "ctr"), "-a", str(self.socket), "-n", "k8s.io"]


@contextlib.contextmanager
def start_kubernetes(binaries: Path) -> Iterator[Cluster]:
    """Make a cluster of the programs that ``tests/kubernetes/build.sh`` has built. Raises NoCluster and ServerError."""
    if os.geteuid() != 0 or not (binaries / "kubelet").exists():
        raise NoCluster("no cluster can be started; run make test-kubernetes as root on Debian, which builds one")
    folder = Path(tempfile.mkdtemp(prefix="kube-"))
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_alone())
            yield _started(folder, binaries, stack)
    finally:
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other cluster of the tests is here: two kubelets of a machine kill each other's pods."""
    with Path(tempfile.gettempdir(), "runner-tests-kubernetes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _started(folder: Path, binaries: Path, stack: contextlib.ExitStack) -> Cluster:
    def start(name: str, *arguments: str, ready: Callable[[], bool]) -> Any:
        return stack.enter_context(_process(folder, binaries / name, arguments, ready))

    etcd, peers, api, kubelet_port = (free_port() for _ in range(4))
    url, tls, key = f"https://{HOST}:{api}", folder / "certs", folder / "sa.key"
    key.write_bytes(_private_key())
    (folder / "tokens.csv").write_text('admin-token,admin,1,"system:masters"\n')
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(_KUBECONFIG.format(certificate=tls / "apiserver.crt", url=url, token="admin-token"))
    (folder / "containerd.toml").write_text(_CONTAINERD.format(folder=folder))
    (folder / "cni").mkdir()
    (folder / "cni" / "none.conflist").write_text(_NETWORK)
    (folder / "kubelet.yaml").write_text(_KUBELET.format(port=kubelet_port))
    socket = folder / "containerd.sock"

    etcd_url, peer_url = f"http://{HOST}:{etcd}", f"http://{HOST}:{peers}"
    start(
        "etcd",
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls={etcd_url}",
        f"--advertise-client-urls={etcd_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        ready=lambda: True,
    )
    start("containerd", f"--config={folder}/containerd.toml", ready=socket.exists)
    found = Cluster(url, kubeconfig, tls / "apiserver.crt", binaries, socket)
    start(
        "kube-apiserver",
        f"--etcd-servers={etcd_url}",
        f"--secure-port={api}",
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        "--endpoint-reconciler-type=none",  # which loopback would be refused by
        f"--cert-dir={tls}",
        f"--token-auth-file={folder}/tokens.csv",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.99.0.0/24",
        "--service-account-issuer=https://kubernetes.test",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--feature-gates=TTLAfterFinished=true",
        "--kubelet-preferred-address-types=Hostname",
        ready=lambda: _answers(lambda: found.kubectl("get", "--raw", "/readyz") == "ok"),
    )
    leaderless = ("--leader-elect=false", "--port=0", "--secure-port=0")
    start(
        "kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        f"--service-account-private-key-file={key}",
        f"--root-ca-file={tls}/apiserver.crt",  # which pods get, to reach the API server
        f"--controllers={_CONTROLLERS}",
        "--feature-gates=TTLAfterFinished=true",
        "--node-monitor-grace-period=20s",
        *leaderless,
        ready=lambda: True,
    )
    start("kube-scheduler", f"--kubeconfig={kubeconfig}", *leaderless, ready=lambda: True)
    _load_pause(binaries / "pause", folder, found)
    stack.callback(_remove_pods, found)
    kubelet = start(
        "kubelet",
        f"--config={folder}/kubelet.yaml",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={folder}/kubelet",
        f"--cert-dir={folder}/kubelet-certs",
        "--container-runtime=remote",
        f"--container-runtime-endpoint=unix://{socket}",
        f"--hostname-override={_NODE}",
        ready=lambda: _answers(lambda: _is_ready(found)),
    )
    return replace(found, kubelet=kubelet)


@contextlib.contextmanager
def _process(
    folder: Path, program: Path, arguments: Sequence[str], ready: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, wait until it is ready, and stop it; it goes with the test process, also when that is killed."""
    log = folder / f"{program.name}.log"
    leash = ["setpriv", "--pdeathsig", "KILL", "--"]
    path = f"{program.parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*leash, program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env={"PATH": path, "HOME": str(folder), "TMPDIR": str(folder)},
        )
    try:
        end = time.monotonic() + _LONGEST
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                raise ServerError(
                    f"{program.name} did not come up; it logged:\n{log.read_text(errors='replace')[-4000:]}"
                )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        yield process
    finally:
        process.kill()  # what it keeps is of the tests alone
        process.wait()


def _answers(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except ServerError:
        return False


def _is_ready(cluster: Cluster) -> bool:
    node = cluster.get("node", _NODE)
    conditions = node["status"]["conditions"] if node else []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _load_pause(program: Path, folder: Path, cluster: Cluster) -> None:
    """Import the image of the container that holds a pod together: this one program."""
    root = folder / "pause"
    root.mkdir()
    shutil.copy(program, root / "pause")
    layer = subprocess.run(["tar", "-C", root, "-c", "."], capture_output=True, check=True).stdout
    archive = folder / "pause.tar"
    archive.write_bytes(_image_archive(layer, "docker.io/library/pause:1"))
    subprocess.run([*cluster._ctr, "images", "import", archive], check=True, capture_output=True)


def _image_archive(layer: bytes, name: str) -> bytes:
    """What ``docker save`` would write of an image of one layer."""
    import hashlib
    import io
    import tarfile

    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    }
    files = {
        "layer.tar": layer,
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode(),
    }
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return written.getvalue()


def _remove_pods(cluster: Cluster) -> None:
    """Kill what still runs: containers outlive the kubelet, and containerd."""
    listed = subprocess.run([*cluster._ctr, "tasks", "list", "-q"], capture_output=True, text=True, check=False)
    commands = [[*cluster._ctr, "tasks", "delete", "--force", container] for container in listed.stdout.split()]
    killed = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    for process in killed:
        process.wait(60)


def _unmount(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for path in reversed([path for path in mounts if path.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)


def _private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: tests, cluster: {{server: "{url}", certificate-authority: "{certificate}"}}}}]
users: [{{name: tests, user: {{token: "{token}"}}}}]
contexts: [{{name: tests, context: {{cluster: tests, user: tests}}}}]
current-context: tests
"""
_CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "{folder}/state"
oom_score = 0
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{folder}/cni"
"""
# Without any the node is not ready; no pod of the tests has a network of its own.
_NETWORK = '{"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "loopback"}]}'
_KUBELET = """\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: {port}
readOnlyPort: 0
healthzPort: 0
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
cgroupDriver: cgroupfs
failSwapOn: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
enforceNodeAllocatable: []
evictionHard: {{nodefs.available: "1%", imagefs.available: "1%", memory.available: "100Mi"}}
nodeStatusUpdateFrequency: 4s
volumeStatsAggPeriod: 2s
imageMinimumGCAge: 100h
"""
