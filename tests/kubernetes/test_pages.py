"""What docs/launching.md says of Kubernetes, word for word, with the README's flow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from support.reader import blocks_of
from support.servers.moto import make_bucket
from support.starting import inherited

if TYPE_CHECKING:
    from pathlib import Path

    from support.on_kubernetes import Cloud
    from support.servers import Server


def test_from_a_published_flow_to_a_watched_run(platform: Cloud, moto: Server, tmp_path: Path) -> None:
    [script] = [block.text for block in blocks_of("docs/launching.md") if block.mark.startswith("kubernetes:")]
    script = script.replace('"ACCESS_KEY": "…", "SECRET_ACCESS_KEY": "…"', json.dumps(KEY)[1:-1])
    [flow] = [block.text for block in blocks_of("README.md") if block.language == "python"]
    image = f'metadata={{"image": "{platform.image}"}}, options={{"kubernetes": {on_loopback(moto)}}}'
    environment = f"import runner.environments\n\nflow.environment = runner.environments.LocalEnvironment({image})\n"
    (tmp_path / "etl.py").write_text(flow.replace("if __name__", f"{environment}\nif __name__"))
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
