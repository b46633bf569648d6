"""Values that must never be seen again, a different one for each place in which runner is given a secret."""

from __future__ import annotations

import base64
import json
import os
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from runner.signing import keys

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC_NAME = "publicaccountname"


@dataclass(frozen=True)
class Planted:
    """The environment that holds them, the named ones, and by its place what of each must not be seen."""

    environ: dict[str, str]
    named: tuple[str, ...]
    canaries: dict[str, list[str]]
    proxy: str  # a URL with a password; what a flow does with it is its own affair, as nobody named it

    @property
    def naming(self) -> dict[str, str]:
        """The environment with all of them named."""
        return self.environ | {"RUNNER_SECRETS": ",".join(self.named)}


def token() -> str:
    """Make one that is the same in JSON, in Python and in a URL."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(28))


def plant(folder: Path) -> Planted:
    """Make new ones; those in files lie in the folder."""
    parts = {name: token() for name in (
        "ACCESS_KEY", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "private_key_id", "DB_PASSWORD", "leaf", "deep leaf",
        "quoted leaf", "AWS_SECRET_ACCESS_KEY", "file 1", "file 2", "file 3", "bytes", "file leaf", "user", "proxy",
    )}  # fmt: skip
    azure = base64.b64encode(os.urandom(64)).decode()
    signature = base64.b64encode(os.urandom(32)).decode().replace("=", "%3D").replace("+", "%2B").replace("/", "%2F")
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()  # fmt: skip
    signing_key = keys.new_key().pem.decode()
    (folder / "lines").write_text(f"{parts['file 1']}\n\t\"{parts['file 2']}\" ü€😀 'x'\\\n{parts['file 3']} & / + =\n")
    (folder / "json").write_text(json.dumps({"a": [{"b": f"é{parts['file leaf']}"}]}, indent=2, ensure_ascii=False))
    environ = {
        "AWS_CREDENTIALS": json.dumps(
            {name: parts[name] for name in ("ACCESS_KEY", "SECRET_ACCESS_KEY", "SESSION_TOKEN")}
        ),
        "GCP_CREDENTIALS": json.dumps(
            {
                "type": "service_account",
                "project_id": "public-project",
                "private_key_id": parts["private_key_id"],
                "private_key": private,
                "client_email": "robot@public-project.iam.gserviceaccount.com",
                "token_uri": "http://127.0.0.1:9/token",
            },
            indent=1,
        ),
        "AZURE_CREDENTIALS": f"DefaultEndpointsProtocol=http;AccountName={PUBLIC_NAME};AccountKey={azure}",
        "SAS": f"https://{PUBLIC_NAME}.blob.core.windows.net/c?sv=2024&sig={signature}",
        "DB_PASSWORD": parts["DB_PASSWORD"],
        "NESTED": json.dumps(
            {
                "a": [{"b": parts["leaf"]}, [f"{parts['deep leaf']} ü\n'x'"]],
                "c": f'"{parts["quoted leaf"]}"\\ /+=',
                "port": 5432,
            }
        ),
        "RAW": b"caf\xe9/".decode(errors="surrogateescape") + parts["bytes"],
        "LINES_FILE": str(folder / "lines"),
        "JSON_FILE": str(folder / "json"),
        "RUNNER_SIGNING_KEY": signing_key,
        "AWS_SECRET_ACCESS_KEY": parts["AWS_SECRET_ACCESS_KEY"],
        "DSN": f"postgres://etl:{parts['user']}@127.0.0.1/db",
    }
    named = (
        "AWS_CREDENTIALS",
        "GCP_CREDENTIALS",
        "AZURE_CREDENTIALS",
        "SAS",
        "DB_PASSWORD",
        "NESTED",
        "RAW",
        "LINES",
        "JSON",
        "DSN",
    )
    given = (*named, "RUNNER_SIGNING_KEY", "AWS_SECRET_ACCESS_KEY")
    canaries = {place: [text] for place, text in parts.items()} | {
        "AZURE_CREDENTIALS": [azure],
        "SAS": [signature, signature.replace("%3D", "=").replace("%2B", "+").replace("%2F", "/")],
        # the first lines of these say what kind of key it is, and are the same for all
        "private_key": private.splitlines()[2:-1],
        "RUNNER_SIGNING_KEY": [signing_key.splitlines()[1][24:]],
    }
    return Planted(
        environ | {"CANARIES": ",".join(given)}, named, canaries, f"http://etl:p@{parts['proxy']}@127.0.0.1:9"
    )
