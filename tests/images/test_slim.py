"""What holds in every image."""

from __future__ import annotations

import json
import re
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.containers import (
    ELSEWHERE,
    ETL,
    HARDENED,
    PARENTS,
    docker,
    in_folder,
    options_of,
    run_etl,
    run_image,
    shell,
)
from support.flows import located, publish

if TYPE_CHECKING:
    from support.places import Place
    from support.starting import Ran

ROOT = Path(__file__).parent.parent.parent
SDKS = {
    "boto3": "aws",
    "google.cloud.storage": "gcp",
    "azure.storage.blob": "azure",
    "docker": "all_extras",
    "lightkube": "all_extras",
}


def name_of(image: str) -> str:
    return image.rpartition(":")[2].partition("-py")[0]


def test_a_flow_in_a_mounted_folder_runs(image: str, folder: Place) -> None:
    environ, options = in_folder(folder)
    run_etl(image, folder, environ, options)


@pytest.mark.parametrize("user", ["65532", "12345:6789"])
def test_a_locked_up_container_of_any_user_runs_a_flow_without_a_network(image: str, folder: Place, user: str) -> None:
    environ, options = in_folder(folder)
    docker_options = [*options_of(environ), *options, *HARDENED, f"--user={user}", "--network=none"]
    done = docker("run", "--rm", *docker_options, image)
    assert done.code == 0, done
    assert {line["level"] for line in done.lines} == {"INFO"}
    kept = folder.keys()
    assert any(key.endswith("outcome.json") for key in kept)


@pytest.mark.parametrize("backend", ["s3", "azure"])
def test_s3_and_azure_are_reached_with_plain_credentials(image: str, place: Place) -> None:
    publish(place, "etl.py")
    run_etl(image, place, located(place, ETL))


def test_without_googles_library_the_image_that_has_it_is_named(image: str) -> None:
    if "gcp" in {name_of(image), *PARENTS[name_of(image)]}:
        return  # test_gcp.py runs a flow there
    done = run_image(image, environ={"RUNNER_STORAGE": "gcs", "RUNNER_LOCATION": "bucket/etl"})
    assert done.code == 78
    assert "Use org/runner:gcp-py3" in done.error["message"]


@pytest.mark.parametrize("backend", ["s3"])
def test_credentials_come_from_an_environment_file_a_file_of_a_variable_a_mount_and_the_shared_file(
    image: str, place: Place, tmp_path: Path
) -> None:
    publish(place, "etl.py")
    keys = {name: value for name, value in place.environ.items() if "KEY" in name}
    rest = {name: value for name, value in located(place, ETL).items() if "KEY" not in name}
    secret = json.dumps({"ACCESS_KEY": keys["AWS_ACCESS_KEY_ID"], "SECRET_ACCESS_KEY": keys["AWS_SECRET_ACCESS_KEY"]})
    tmp_path.chmod(0o755)
    (tmp_path / "AWS_CREDENTIALS").write_text(secret)
    (tmp_path / "environ").write_text("".join(f"{name}={value}\n" for name, value in keys.items()))
    shared = [
        f"aws_access_key_id = {keys['AWS_ACCESS_KEY_ID']}",
        f"aws_secret_access_key = {keys['AWS_SECRET_ACCESS_KEY']}",
    ]
    (tmp_path / "aws").mkdir()
    (tmp_path / "aws/credentials").write_text("\n".join(["[default]", *shared]) + "\n")
    file = tmp_path / "AWS_CREDENTIALS"
    named = {"RUNNER_SECRETS": "AWS_CREDENTIALS"}
    ways: dict[str, tuple[dict[str, str], list[str]]] = {
        "--env-file": ({}, [f"--env-file={tmp_path}/environ"]),
        "/run/secrets": (named, [f"--volume={file}:/run/secrets/AWS_CREDENTIALS:ro"]),
        "X_FILE": (named | {"AWS_CREDENTIALS_FILE": "/etc/aws.json"}, [f"--volume={file}:/etc/aws.json:ro"]),
        "~/.aws": ({}, [f"--volume={tmp_path}/aws:/home/runner/.aws:ro"]),
    }
    for way, (environ, options) in ways.items():
        done = run_image(image, environ=rest | environ, options=options)
        assert done.code == 0, (way, done)


def test_without_variables_it_says_what_to_do(image: str) -> None:
    done = run_image(image)
    assert done.code == 78
    assert "RUNNER_LOCATION is not set" in done.error["message"]
    assert "docker run -e RUNNER_STORAGE=s3 -e RUNNER_LOCATION=my-flows/etl" in done.stderr


def test_commands_of_runner_and_programs_can_be_given(image: str, folder: Place) -> None:
    environ, options = in_folder(folder)
    inspected = run_image(image, "inspect", environ["RUNNER_LOCATION"], "--json", options=options)
    assert json.loads(inspected.stdout)["manifest"]["flow"]["name"] == "E.T.L. täglich"
    assert run_image(image, "ls", "/flows", options=options).code == 0
    assert run_image(image, "bash", "-c", "echo $((6 * 7))").stdout == "42\n"
    piped = run_image(image, "bash", "-c", "yes | head -n1; exit ${PIPESTATUS[0]}", options=["--init"])
    assert (piped.stdout, piped.stderr, piped.code) == ("y\n", "", 141)
    assert run_image(image, "no-such-thing").code == 2


def test_labels_and_version_tell_the_same(image: str) -> None:
    [facts] = json.loads(docker("image", "inspect", image).stdout)
    labels = facts["Config"]["Labels"]
    reported = json.loads(run_image(image, "version", "--json").stdout)
    assert reported["runner"] == version("flow-runner")
    assert reported["python"].startswith(f"{labels['runner.python']}.")
    assert reported["image"] == labels["runner.image"] == image
    assert reported["revision"] == labels["org.opencontainers.image.revision"] == "0123abc"
    assert labels["org.opencontainers.image.version"] == "9.9.9"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.base.name"]


def test_it_holds_what_its_lock_says_and_nothing_else(image: str) -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / f"images/{name_of(image)}.txt").read_text(), re.MULTILINE))
    site = shell(image, "echo /opt/runner/lib/python3*/site-packages").strip()
    script = f"import importlib.metadata as m; print(*(d.name for d in m.distributions(path=['{site}'])))"
    found = {re.sub(r"[-_.]+", "-", name).lower() for name in run_image(image, "python", "-c", script).stdout.split()}
    assert found - {"flow-runner"} == locked - ELSEWHERE
    for module, home in SDKS.items():
        wanted = home in {name_of(image), *PARENTS[name_of(image)]} or name_of(image) == "all_extras"
        assert (run_image(image, "python", "-c", f"import {module}").code == 0) == wanted, module


def test_its_user_is_nobody_and_its_code_cannot_be_changed(image: str) -> None:
    [facts] = json.loads(docker("image", "inspect", image).stdout)
    assert facts["Config"]["User"] == "65532:65532"
    assert facts["Config"]["Entrypoint"][0] == "/usr/bin/tini"
    assert "-g" not in facts["Config"]["Entrypoint"]
    assert shell(image, "id -u; id -g").split() == ["65532", "65532"]
    assert shell(image, r"find /opt /usr \( -not -user 0 -o -writable \) -not -type l -print").strip() == ""


def test_no_compiler_and_no_cache_is_in_it(image: str) -> None:
    assert shell(image, "for tool in gcc cc g++ make; do command -v $tool; done; true") == ""
    script = "find / -xdev ( -path /root/.cache/* -o -path /var/lib/apt/lists/* -o -name *.whl ) -type f -print"
    listed = run_image(image, *script.split(), options=["--user=0"]).stdout.splitlines()
    assert [path for path in listed if not path.startswith("/usr/share/python-wheels/")] == []


def test_all_that_a_start_imports_is_compiled(image: str, folder: Place) -> None:
    """The official Python images ship no bytecode, and the user cannot write any."""
    environ, options = in_folder(folder)
    command = ["python", "-v", "-s", "-P", "-m", "runner"]
    done = run_image(image, *command, environ=environ, options=[*options, "--read-only", "--tmpfs=/tmp"])
    assert done.code == 0, done.stderr[-2000:]
    assert "code object from" in done.stderr
    compiled = re.findall(r"^# code object from (?!'.*\.pyc')'?(/(?:usr|opt)/[^']*\.py)'?$", done.stderr, re.MULTILINE)
    assert compiled == []


@pytest.mark.parametrize("file", ["runner.py", "json.py", "pickle.py"])
def test_files_in_the_working_directory_are_not_what_runs(image: str, folder: Place, tmp_path: Path, file: str) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / file).write_text("raise SystemExit('hijacked')\n")
    environ, options = in_folder(folder)
    done = run_image(image, environ=environ, options=[*options, f"--volume={work}:/code", "--workdir=/code"])
    assert done.code == 0, done


@pytest.mark.parametrize("environ", [{}, {"PYTHONNOUSERSITE": ""}], ids=["as-it-is", "with-the-variable-taken-out"])
def test_nothing_below_the_home_is_run_before_runner(
    image: str, folder: Place, tmp_path: Path, environ: dict[str, str]
) -> None:
    """Any uid may write to the home, and a flow that ran there before, or a volume, has left its own start-up code."""
    home = tmp_path / "home"
    python = shell(image, "python -c 'import sys; print(sys.version_info[1])'").strip()
    site = home / f".local/lib/python3.{python}/site-packages"
    site.mkdir(parents=True)
    for each in (home, *home.rglob("*")):
        each.chmod(0o777)
    code = "import sys; sys.stderr.write('hijacked')\n"
    for name in ("usercustomize.py", "sitecustomize.py", "x.pth", "click.py", "runner.py"):
        (site / name).write_text(code)
    for name in ("usercustomize.py", "runner.py", "json.py"):
        (home / name).write_text(code)
    here, options = in_folder(folder)
    options = [*options, f"--volume={home}:/home/runner"]
    done = run_image(image, environ=here | environ, options=options)
    assert done.code == 0, done
    assert "hijacked" not in done.stdout + done.stderr
    if not environ:
        for command in ("runner version", "cd /tmp && python -c 'import json'", "pip --version"):
            done = run_image(image, "sh", "-c", command, options=options)
            assert (done.code, "hijacked" in done.stdout + done.stderr) == (0, False), done


def test_docker_stop_reaches_the_flow_and_no_zombie_is_left(image: str, folder: Place, tmp_path: Path) -> None:
    environ, options = in_folder(folder, "trouble.py", "trouble")
    marker = tmp_path / "flows/trouble/waiting"
    given = {"kind": "leave_orphans_and_wait", "file": "/flows/trouble/waiting"}
    environ |= {"RUNNER_RUN_ID": "r", "RUNNER_PARAMETERS": json.dumps(given)}
    started = docker("run", "--detach", *options_of(environ), *options, image)
    assert started.code == 0, started
    container = started.stdout.strip()
    try:
        while not marker.exists():
            assert docker("inspect", "--format={{.State.Running}}", container).stdout == "true\n", logs(container)
            time.sleep(0.05)
        states = "for file in /proc/[0-9]*/stat; do cut -d' ' -f3 $file; done"
        deadline = time.monotonic() + 20
        while "Z" in docker("exec", container, "sh", "-c", states).stdout:  # until tini has been given them
            assert time.monotonic() < deadline
        assert docker("stop", "--time=20", container).code == 0
        assert docker("wait", container).stdout == "143\n", logs(container)
        end = json.loads(folder.read("trouble/runs/r/attempts/0001/end.json"))
        assert (end["state"], end["exit_code"]) == ("cancelled", 143)
    finally:
        docker("rm", "--force", container)


def logs(container: str) -> Ran:
    return docker("logs", container)


@pytest.mark.parametrize("user", ["65532", "12345:6789"])
def test_doctor_finds_nothing_wrong_in_a_locked_up_container_and_says_what_its_limits_are(
    image: str, folder: Place, user: str
) -> None:
    environ, options = in_folder(folder)
    before = folder.keys()
    limited = [*options, *HARDENED, f"--user={user}", "--memory=512m"]
    done = run_image(image, "doctor", "--json", environ=environ, options=limited)
    assert done.code == 0, done
    document = json.loads(done.stdout)
    assert {check["state"] for check in document["checks"]} == {"ok", "unknown"}
    assert document["machine"]["image"] == image
    assert document["machine"]["limits"]["memory"] == 512 * 1024 * 1024
    assert bool(document["machine"]["libraries"]["boto3"]) == ("aws" in {name_of(image), *PARENTS[name_of(image)]})
    assert folder.keys() == before


def test_doctor_says_what_a_container_lacks_that_can_write_nowhere(image: str, folder: Place) -> None:
    environ, options = in_folder(folder)
    locked = [*(f"{one}:ro" for one in options), "--read-only"]
    done = run_image(image, "doctor", environ=environ, options=locked)
    assert done.code == run_image(image, environ=environ, options=locked).code == 73, done
    assert "note     temporary folder: " in done.stdout
    assert ", and this flow needs none" in done.stdout
    assert "FAILED   create: " in done.stdout


def test_a_bill_of_materials_lists_what_is_in_it(image: str) -> None:
    reported = json.loads(shell(image, "cat /opt/runner/sbom.json"))
    assert (reported["bomFormat"], reported["specVersion"]) == ("CycloneDX", "1.6")
    component = reported["metadata"]["component"]
    assert f"{component['name']}:{component['version']}".rpartition(":")[2] == image.rpartition(":")[2]
    listed = {each["name"]: each["version"] for each in reported["components"] if each["type"] == "library"}
    installed = json.loads(shell(image, "python -m pip list --format=json"))
    assert listed == {re.sub(r"[-_.]+", "-", each["name"]).lower(): each["version"] for each in installed}
    assert {"flow-runner", "obstore", "cryptography"} <= set(listed)
    assert len({each["bom-ref"] for each in reported["components"]}) == len(reported["components"])
