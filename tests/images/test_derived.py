"""Images that a team makes of ours, as docs/images.md has them, each with a flow that needs what was added."""

from __future__ import annotations

import json
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.containers import ETL, build, docker, run_image
from support.flows import publish
from support.packages import lay_out_index, make_wheel
from support.servers.index import start_index
from support.servers.s3_as_aws import S3AsAws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.places import Place

ROOT = Path(__file__).parent.parent.parent
LOCK = (ROOT / "images/aws.txt").read_text("utf-8")
FLOW = """
from runner import Flow, task
import {module}

@task
def use():
    return {module}.__name__

with Flow("uses") as flow:
    use()
"""


@pytest.fixture
def context(tmp_path: Path, images: dict[str, str]) -> Iterator[Path]:
    """A folder to build an image from; the images made of it are removed."""
    del images
    path = tmp_path / "context"
    path.mkdir()
    yield path
    docker("rmi", "--force", "derived:test")


def made(dockerfile: str, context: Path, *options: str) -> str:
    done = build(dockerfile, context, "derived:test", *options)
    assert done.code == 0, done.stderr[-4000:]
    return "derived:test"


def run_flow_that_imports(module: str, image: str, folder: Place, tmp_path: Path) -> None:
    """Build and run, in the image, a flow that cannot do without the module."""
    (tmp_path / "uses.py").write_text(FLOW.format(module=module))
    mounts = [f"--volume={tmp_path}/uses.py:/code/uses.py:ro", f"--volume={folder.url.removeprefix('file://')}:/flows"]
    built = run_image(image, "build", "/code/uses.py", "--storage=/flows", "--json", options=mounts)
    assert built.code == 0, built
    reported = json.loads(built.stdout)
    assert module in [need["module"] for need in reported["manifest"]["requires"]]
    environ = {"RUNNER_STORAGE": "local", "RUNNER_LOCATION": reported["location"].removeprefix("file://")}
    done = run_image(image, environ=environ, options=mounts)
    assert done.code == 0, done


def test_the_four_lines(context: Path, folder: Place, tmp_path: Path) -> None:
    dockerfile = example("pip install pandas")
    assert dockerfile.count("\n") == 4
    image = made(dockerfile, context)
    run_flow_that_imports("pandas", image, folder, tmp_path)
    script = "find / -xdev -path '*cache*' -name '*.whl'; id -u; python -m pip list | grep -c ^pandas"
    assert run_image(image, "sh", "-c", script).stdout.split() == ["65532", "1"]
    assert run_image(image, "version").code == 0  # the entrypoint is still ours


def test_a_lock_file(context: Path, folder: Place, tmp_path: Path) -> None:
    pinned = re.search(r"^jmespath==.*?(?=^\S|\Z)", LOCK, re.MULTILINE | re.DOTALL)
    assert pinned
    (context / "requirements.txt").write_text(pinned[0])
    dockerfile = example("--require-hashes")
    run_flow_that_imports("jmespath", made(dockerfile, context), folder, tmp_path)


def test_uv(context: Path, folder: Place, tmp_path: Path) -> None:
    (context / "requirements.txt").write_text("jmespath\n")
    dockerfile = example("uv pip install")
    # what this machine trusts, as the stand-in's pip is told in its own way
    trusting = dockerfile.replace("uv pip", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt uv pip")
    image = made(trusting, context)
    run_flow_that_imports("jmespath", image, folder, tmp_path)
    assert run_image(image, "which", "uv").code == 1


def test_a_private_index_whose_password_stays_out_of_the_image(context: Path, folder: Place, tmp_path: Path) -> None:
    password = "pa55word-of-the-index"
    lay_out_index(tmp_path, make_wheel(tmp_path, "our_package", "1.0", "SAUCE = 'secret'\n"))
    with start_index(tmp_path, password) as host:
        (context / "pip.conf").write_text(f"[global]\nindex-url = http://user:{password}@{host}/simple\n")
        image = made(example("type=secret"), context, f"--secret=id=pip,src={context}/pip.conf")
    run_flow_that_imports("our_package", image, folder, tmp_path)
    history = docker("history", "--no-trunc", image).stdout
    found = run_image(image, "grep", "-rl", password, "/etc", "/opt", "/home", options=["--user=0"])
    assert (password in history, found.stdout) == (False, "")


def test_a_companys_authority(context: Path, folder: Place, tmp_path: Path) -> None:
    lay_out_index(tmp_path, make_wheel(tmp_path, "our_package", "1.0", ""))
    with S3AsAws(tls=True) as s3:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        s3.authority.issue_cert("127.0.0.1").configure_cert(tls)
        (context / "company.crt").write_bytes(Path(s3.ca_file).read_bytes())
        url = publish(folder, "etl.py")
        s3.objects["etl/v1"] = folder.read(f"{ETL}/{url.rpartition('/')[2]}")
        with start_index(tmp_path, "pass", tls) as host:
            more = f"RUN pip install --index-url https://user:pass@{host}/simple our-package\nUSER 65532\n"
            image = made(example("company.crt").replace("USER 65532\n", more), context)
        environ = {name: value for name, value in s3.server.environ.items() if name != "AWS_CA_BUNDLE"}
        environ |= {"RUNNER_STORAGE": "s3", "RUNNER_LOCATION": "bucket/etl/v1"}
        done = run_image(image, environ=environ)
        assert done.code == 0, done
        assert run_image("tested/runner:aws", environ=environ).code == 69  # nobody else trusts it


def example(part: str) -> str:
    """Give the Dockerfile of docs/images.md in which a part stands, with the images that are tested."""
    blocks = re.findall(r"```dockerfile\n(.*?)```", (ROOT / "docs/images.md").read_text("utf-8"), re.DOTALL)
    [found] = [block for block in blocks if part in block]
    return str(found).replace("org/runner", "tested/runner")
