"""Docker storage: flows baked into images, on a real engine, pushed to a real registry."""

from __future__ import annotations

import json
import os
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runner import errors
from runner.cli.build import load_file
from runner.storage import Docker, Local
from support.canary import AUTHOR, MALLORY
from support.containers import HARDENED, docker, run_image
from support.flows import HERE as FLOWS
from support.packages import lay_out_index, make_wheel
from support.servers import free_port, index, request
from support.servers.index import start_index
from support.servers.registry import PASSWORD, USER, start_registry
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.places import Place

SLUG = "baked-in"


BASE = "tested/runner:slim-py3.11"
GATEWAY = "172.17.0.1"  # this machine, for build steps, which are not on its network as containers here are


def images_of_the_flow() -> list[list[str]]:
    listed = docker("images", "--format={{.Repository}} {{.Tag}} {{.ID}}").stdout.splitlines()
    return [line.split() for line in listed if f"/{SLUG} " in f"/{line}"]


@pytest.fixture(autouse=True)
def _no_image_is_left(images: dict[str, str]) -> Iterator[None]:
    del images
    yield
    for _, _, number in images_of_the_flow():
        docker("rmi", "--force", number)


def bake(file: str = "baked.py", **declared: Any) -> str:
    """Build the image of a flow of the tests."""
    flow = load_file(FLOWS / file).flow
    flow.storage = Docker(**({} if "dockerfile" in declared else {"base_image": BASE}) | declared)
    return str(flow.storage.build())


def looked(image: str, folder: Place, *options: str) -> tuple[str | None, list[str]]:
    """Run the image, and give what its flow saw."""
    mount = f"--volume={folder.url.removeprefix('file://')}:/results"
    environ = {"RUNNER_RESULTS": "file:///results", "RUNNER_RUN_ID": "r"}
    done = run_image(image, environ=environ, options=[mount, *options])
    assert done.code == 0, done
    other = [line["message"] for line in done.lines if line["level"] != "INFO"]
    assert [message for message in other if "can write to '/results'" not in message] == []
    outcome = json.loads(folder.read(f"{SLUG}/runs/r/outcome.json"))
    assert outcome["bundle"]["url"].startswith(f"file:///opt/flows/{SLUG}/")
    seen: tuple[str | None, list[str]] = pickle.loads(folder.read(outcome["tasks"][0]["result"]["key"]))
    return seen


def test_the_image_runs_its_flow_and_writes_where_it_is_told(folder: Place) -> None:
    before = os.umask(0o077)
    try:
        image = bake()
    finally:
        os.umask(before)
    assert image.startswith(f"{SLUG}:20")
    assert looked(image, folder, *HARDENED, "--user=12345:6789") == (None, [])
    [facts] = json.loads(docker("image", "inspect", image).stdout)
    assert (facts["Config"]["User"], facts["Config"]["Cmd"]) == ("65532:65532", [])
    assert json.loads(run_image(image, "version", "--json").stdout)["image"] == image


def test_a_signed_flow_runs_where_its_key_is_trusted_and_nowhere_else() -> None:
    flow = load_file(FLOWS / "baked.py").flow
    flow.storage = Docker(base_image=BASE)
    image = flow.storage.build(sign_with=AUTHOR)
    assert run_image(image, environ={"RUNNER_TRUSTED_KEYS": AUTHOR.public.text}).code == 0
    assert run_image(image, environ={"RUNNER_TRUSTED_KEYS": MALLORY.public.text}).code == 79
    assert run_image(bake(), environ={"RUNNER_TRUSTED_KEYS": AUTHOR.public.text}).code == 79


def test_the_default_base_is_slim_of_this_python() -> None:
    default = f"org/runner:slim-py3.{sys.version_info.minor}"
    kept = docker("image", "inspect", "--format={{.Id}}", default).stdout.strip()
    docker("tag", BASE, default)
    try:
        bake(base_image=None)
    finally:
        docker("rmi", default)
        if kept:
            docker("tag", kept, default)


def test_without_a_place_for_results_it_warns_that_they_go_with_the_container() -> None:
    done = run_image(bake(), options=[*HARDENED, "--user=12345:6789"])
    assert done.code == 0, done
    assert [line["message"] for line in done.lines if line["level"] == "WARNING"] == [
        "RUNNER_RESULTS is not set: the results of this run lie in the container, and go with it"
    ]


def test_dependencies_files_and_variables_are_laid_in(folder: Place, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "our_package", "1.0", "")
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    (data / "deep/a b.txt").write_text("a")
    (data / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text("b")
    (tmp_path / "elsewhere").chmod(0o600)
    (data / "deep/a b.txt").chmod(0o640)
    greeting = 'say "$HOME" \\ and {json: 1}'
    image = bake(
        python_dependencies=[f"/opt/wheels/{wheel.name}"],
        files={str(wheel): f"/opt/wheels/{wheel.name}", str(data): "/opt/data"},
        env_vars={"GREETING": greeting},
        build_args={"PIP_NO_INDEX": "1"},
        image_name="team/" + SLUG,
        image_tag="1.0",
    )
    assert image == f"team/{SLUG}:1.0"
    assert looked(image, folder) == (greeting, ["/opt/data/deep/a b.txt", "/opt/data/linked"])
    assert run_image(image, "cat", "/opt/data/linked").stdout == "b"
    modes = run_image(image, "stat", "--format=%a %u", "/opt/data/linked", "/opt/data/deep/a b.txt").stdout
    assert modes.splitlines() == ["600 65532", "640 65532"]
    assert run_image(image, "cat", "/opt/data/linked", options=["--user=4321"]).code == 1
    assert run_image(image, "python", "-c", "import our_package").code == 0


PASSWORD_OF_INDEX = "wF3kq9-Zr7mmV2xx"


def nowhere_in(image: str, *texts: str) -> None:
    told = docker("image", "inspect", image).stdout + docker("history", "--no-trunc", image).stdout
    found = run_image(
        image, "grep", "-rlE", "|".join(texts), "/etc", "/opt", "/home", "/root", "/run", options=["--user=0"]
    )
    assert (any(text in told for text in texts), found.stdout) == (False, "")


def test_a_private_index_is_a_build_secret(
    folder: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip's configuration is there while pip runs, and in no layer, no history, and nothing that is printed."""
    lay_out_index(tmp_path, make_wheel(tmp_path, "our_package", "1.0", "SAUCE = 'secret'\n"))
    monkeypatch.setattr(index, "HOST", GATEWAY)
    with start_index(tmp_path, PASSWORD_OF_INDEX) as host:
        url = f"http://user:{PASSWORD_OF_INDEX}@{host}/simple"
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {url}\ntrusted-host = {GATEWAY}\n")
        image = bake(python_dependencies=["our-package", "-vv"], build_secrets={"pip": str(tmp_path / "pip.conf")})
        (tmp_path / "netrc").write_text(f"machine {GATEWAY} login user password {PASSWORD_OF_INDEX}\n")
        plain = [f"--index-url=http://{host}/simple", f"--trusted-host={GATEWAY}", "our-package"]
        other = bake(python_dependencies=plain, build_secrets={"netrc": str(tmp_path / "netrc")})
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {url}-gone\ntrusted-host = {GATEWAY}\n")
        with pytest.raises(errors.FlowFailed, match=r"(?s)cannot be built.*our-package") as refusal:
            bake(python_dependencies=["our-package"], build_secrets={"pip": str(tmp_path / "pip.conf")})
    assert PASSWORD_OF_INDEX not in str(refusal.value) + "".join(capfd.readouterr())
    for each in (image, other):
        assert run_image(each, "python", "-c", "import our_package").code == 0
        nowhere_in(each, PASSWORD_OF_INDEX)
    assert looked(image, folder) == (None, [])


def test_a_dockerfile_sees_build_secrets_too(folder: Place, tmp_path: Path) -> None:
    (tmp_path / "licence, of ours").write_text("key-of-the-licence-9\n")
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text(
        f"FROM {BASE}\nUSER root\nARG SIZE\nRUN --mount=type=secret,id=licence,required=true \\\n"
        '  test "$(cat /run/secrets/licence)" = key-of-the-licence-9 && install -D /dev/null /opt/data/$SIZE\n'
        "USER 65532\n"
    )
    with pytest.raises(errors.FlowFailed, match="the build secret licence, in the file Dockerfile"):
        bake(
            dockerfile=str(tmp_path / "context/Dockerfile"),
            build_secrets={"licence": str(tmp_path / "licence, of ours")},
        )
    text = (tmp_path / "context/Dockerfile").read_text().replace("= key-of-the-licence-9", "!= ''")
    (tmp_path / "context/Dockerfile").write_text(text)
    image = bake(
        dockerfile=str(tmp_path / "context/Dockerfile"),
        build_secrets={"licence": str(tmp_path / "licence, of ours")},
        build_args={"SIZE": "large"},
        python_dependencies=["--dry-run", "pip"],
    )
    assert looked(image, folder) == (None, ["/opt/data/large"])
    assert docker("images", "--quiet", "runner-base").stdout == ""
    nowhere_in(image, "key-of-the-licence-9")


def test_a_secret_that_a_build_puts_together_is_found_in_the_finished_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the Dockerfile nor an argument has it whole, and the image's variables have."""
    monkeypatch.setenv("DB_PASSWORD", "wF3kq9-Zr7mmV2xx")
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nARG LEFT\nARG RIGHT\nENV DSN=$LEFT$RIGHT\n")
    halves = {"LEFT": "wF3kq9-Z", "RIGHT": "r7mmV2xx"}
    with pytest.raises(errors.FlowFailed, match="DB_PASSWORD, in the image's history") as refusal:
        bake(dockerfile=str(tmp_path / "Dockerfile"), build_args=halves)
    assert "wF3kq9-Zr7mmV2xx" not in str(refusal.value)
    assert images_of_the_flow() == []


def test_one_file_can_be_laid_in_two_places(folder: Place, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("x")
    image = bake(files={str(file): "/opt/data/one", f"{tmp_path}/./data": "/opt/data/two"})
    assert looked(image, folder) == (None, ["/opt/data/one", "/opt/data/two"])


def test_it_is_pushed_and_named_by_its_digest(folder: Place) -> None:
    with start_registry() as host:
        image = bake(registry_url=f"http://{host}/team/")
        name, _, digest = image.partition("@")
        assert name.startswith(f"{host}/team/{SLUG}:20")
        assert digest.startswith("sha256:")
        docker("rmi", "--force", name)
        assert looked(image, folder) == (None, [])


def test_a_registry_with_a_login_takes_it_from_docker_login() -> None:
    with start_registry(login=True) as host:
        with pytest.raises(errors.CredentialsRefused, match=f"docker login {host}"):
            bake(registry_url=host)
        assert docker("login", f"--username={USER}", "--password-stdin", host, stdin=PASSWORD).code == 0
        assert "@sha256:" in bake(registry_url=host)


def test_a_registry_that_is_down_is_told() -> None:
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(errors.WriteFailed, match="could not be pushed"):
        bake(registry_url=host)


def test_a_missing_module_is_told_before_anything_is_pushed() -> None:
    with start_registry() as host:
        with pytest.raises(errors.Incompatible, match=r"(?s)not installed here: numpy.*python_dependencies"):
            bake("needs_numpy.py", registry_url=host, image_name=SLUG)
        assert json.loads(request("GET", f"http://{host}/v2/_catalog")[1]) == {"repositories": []}


def test_a_base_of_another_python_is_told(images: dict[str, str]) -> None:
    with pytest.raises(errors.Incompatible, match=r"built with Python 3\.11\.\d+, and this image has Python 3\.13"):
        bake(base_image=images["slim-py3.13"])


def test_a_base_without_runner_is_told(bases: dict[str, str]) -> None:
    with pytest.raises(errors.FlowFailed, match="whose entrypoint it needs"):
        bake(base_image=bases["3.11"])


def test_a_base_of_another_entrypoint_is_told_and_of_another_command_runs_the_flow(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f'FROM {BASE}\nENTRYPOINT ["true"]\n')
    with pytest.raises(errors.FlowFailed, match="does not run its flow"):
        bake(dockerfile=str(tmp_path / "Dockerfile"))
    (tmp_path / "Dockerfile").write_text(f'FROM {BASE}\nCMD ["bash"]\n')
    done = run_image(bake(dockerfile=str(tmp_path / "Dockerfile")))
    assert "task look succeeded" in done.stdout


def test_a_flow_that_cannot_be_loaded_takes_no_name_from_one_that_could(images: dict[str, str]) -> None:
    good = docker("image", "inspect", "--format={{.Id}}", bake(image_tag="latest")).stdout
    with pytest.raises(errors.Incompatible):
        bake(base_image=images["slim-py3.13"], image_tag="latest")
    assert docker("image", "inspect", "--format={{.Id}}", f"{SLUG}:latest").stdout == good
    assert len(images_of_the_flow()) == 1


def test_a_flow_whose_parameters_are_required_is_baked() -> None:
    assert bake("trouble.py", image_name=SLUG).startswith(SLUG)


def test_a_dockerfile_can_be_the_base(folder: Place, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile.team").write_text(
        "ARG FROM_IMAGE\nFROM $FROM_IMAGE\nUSER root\nCOPY . /opt/data/\nENV GREETING=hello\nUSER 4321\n"
    )
    (context / ".dockerignore").write_text("# not wanted\nDockerfile*\n.dockerignore\nbig\n")
    (context / "big").write_text("x")
    (context / "kept").write_text("x")
    args = {"FROM_IMAGE": BASE}
    image = bake(dockerfile=str(context / "Dockerfile.team"), build_args=args)
    assert looked(image, folder) == ("hello", ["/opt/data/kept"])
    assert run_image(image, "sh", "-c", "id -u").stdout == "4321\n"


@pytest.mark.parametrize(
    ("declared", "kind", "reported"),
    [
        ({"base_image": "127.0.0.1:1/no-such:base"}, errors.NotFound, "no base image 127.0.0.1:1/no-such:base"),
        ({"python_dependencies": ["/no/such.whl"]}, errors.FlowFailed, r"(?s)cannot be built.*/no/such\.whl"),
        ({"files": {"/no/such/file": "/opt/x"}}, errors.UsageError, "no file /no/such/file"),
        ({"dockerfile": "/no/such/Dockerfile"}, errors.UsageError, "no file /no/such/Dockerfile"),
        ({"dockerfile": "Dockerfile", "base_image": "a"}, errors.UsageError, "both given"),
        ({"image_name": "No Name"}, errors.UsageError, "No Name:20.* is no name for an image"),
        ({"registry_url": "host/Team"}, errors.UsageError, "host/Team/baked-in:20.* is no name for an image"),
        ({"env_vars": {"A": "1\n2"}}, errors.UsageError, "variable 'A' needs a plain name, and a text of one line"),
        ({"env_vars": {"A": 1}}, errors.UsageError, "variable 'A' needs"),
        ({"env_vars": {"A B": "1"}}, errors.UsageError, "variable 'A B' needs"),
        ({"build_args": {"PIP_INDEX_URL": "http://me:pa55@host/"}}, errors.UsageError, "PIP_INDEX_URL has a password"),
        ({"files": {"/etc/hostname": "opt/x"}}, errors.UsageError, "'opt/x' is no absolute path"),
        ({"path": "/opt/$HOME"}, errors.UsageError, "a character that a Dockerfile would change"),
        ({"python_dependencies": "pandas"}, errors.UsageError, "a list of requirements"),
        ({"path": "flows"}, errors.UsageError, "no absolute path"),
        ({"build_secrets": {"a b": "x"}}, errors.UsageError, "build secret 'a b' needs a plain name"),
        ({"build_secrets": {"pip": "/no/such/pip.conf"}}, errors.UsageError, "no file /no/such/pip.conf"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_makes_no_image_is_told(declared: dict[str, Any], kind: type[errors.RunnerError], reported: str) -> None:
    with pytest.raises(kind, match=reported):
        bake(**declared)


def test_without_an_engine_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    with pytest.raises(errors.Unreachable, match="no Docker engine answers"):
        bake()


@pytest.mark.filterwarnings("ignore:docker-credential-none-of-that-name")
def test_a_credential_helper_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "none-of-that-name"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(errors.CredentialsRefused, match="credential helper"):
        bake()


def test_without_buildx_build_secrets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text("")
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path))
        with pytest.raises(errors.EnvironmentWrong, match="docker buildx, which is not installed"):
            bake(python_dependencies=["pandas"], build_secrets={"pip": str(tmp_path / "pip.conf")})


def test_without_the_sdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(errors.EnvironmentWrong, match=r"flow-runner\[docker\]"):
        bake()


def test_the_command_line_builds_it_and_can_publish_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "baked.py"
    text = (FLOWS / "baked.py").read_text("utf-8")
    declared = f"base_image={BASE!r}, labels=['gpu'], secrets=['DB'], files={{'near.txt': '/opt/data/near'}}"
    file.write_text(f"{text}\nfrom runner.storage import Docker\nflow.storage = Docker({declared})\n")
    (tmp_path / "near.txt").write_text("near the flow's file, wherever the command is given")
    done = start({}, "build", str(file), cwd=tmp_path.parent)
    assert done.code == 0, done
    image = done.stdout.strip()
    inspected = run_image(image, "sh", "-c", "runner inspect $RUNNER_LOCATION --json")
    manifest = json.loads(inspected.stdout)["manifest"]
    assert (manifest["labels"], manifest["secrets"]) == (["gpu"], ["DB"])
    elsewhere = start({}, "build", str(file), "--storage", str(tmp_path / "flows"))
    assert elsewhere.stdout.startswith("file:///")


def test_its_labels_are_the_authors_alone() -> None:
    assert Docker().labels == ()
    assert Docker(labels=["gpu"]).labels == ("gpu",)
    assert Local().labels != ()
