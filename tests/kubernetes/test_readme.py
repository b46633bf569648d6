"""What the README says of Kubernetes, word for word, as a new user would do it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support.servers.moto import make_bucket
from support.starting import inherited

if TYPE_CHECKING:
    from support.on_kubernetes import Cloud
    from support.servers import Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_from_a_published_flow_to_a_watched_run(platform: Cloud, moto: Server, tmp_path: Path) -> None:
    script = README.partition("<!-- kubernetes:")[2].partition("```sh\n")[2].partition("```")[0]
    script = script.replace('"ACCESS_KEY": "…", "SECRET_ACCESS_KEY": "…"', json.dumps(KEY)[1:-1])
    [flow] = [text for text in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if text.startswith("# etl.py")]
    image = f'metadata={{"image": "{platform.image}"}}, options={{"kubernetes": {on_loopback(moto)}}}'
    assert 'metadata={"image": "org/runner:aws-py3.11"}' in flow
    (tmp_path / "etl.py").write_text(flow.replace('metadata={"image": "org/runner:aws-py3.11"}', image))
    platform.kubectl("delete", "secret", "my-flows")
    make_bucket(moto, "my-flows")
    config = json.loads(platform.kubectl("config", "view", "--raw", "-o", "json"))
    config["contexts"][0]["context"]["namespace"] = platform.namespace
    (tmp_path / "kubeconfig").write_text(json.dumps(config))

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "runner").write_text(f'#!/bin/sh\nexec {sys.executable} -m runner "$@"\n')
    (tmp_path / "bin" / "runner").chmod(0o755)
    path = f"{tmp_path}/bin:{platform.cluster.binaries}:{os.environ['PATH']}"
    environ = inherited() | moto.environ | {"PATH": path, "KUBECONFIG": str(tmp_path / "kubeconfig")}
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done
    assert "succeeded" in done.stdout, done
    assert "run-first-" in done.stdout, done


KEY = {"ACCESS_KEY": "testing", "SECRET_ACCESS_KEY": "testing"}


def on_loopback(moto: Server) -> dict[str, object]:
    """What a real cluster has no need of: the S3 of the tests is on loopback."""
    env = [{"name": "AWS_ENDPOINT_URL", "value": moto.environ["AWS_ENDPOINT_URL"]}]
    pod = {"containers": [{"name": "runner", "env": env}]}
    return {"host_network": True, "template": {"spec": {"template": {"spec": pod}}}}
