"""Where AWS hands out credentials: instance metadata, the container endpoint, STS and the portal of SSO, in one server.

The key id tells what was asked for, so that two who asked for the same can be compared. Sources:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html,
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html,
https://docs.aws.amazon.com/STS/latest/APIReference/, https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/
"""

import hashlib
import json
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qsl, urlsplit

from . import HOST

_LONG = 6 * 3600


def key_id(*asked: str) -> str:
    """The key id of who asked for this."""
    return "ASIA" + hashlib.sha256("|".join(asked).encode()).hexdigest()[:16].upper()


class AwsCredentials:
    """Change its attributes at any time; `asked` is the record of what was given out.

    It is an empty bucket too, and `signers` has the key id with which each path of it was asked for.

    `token` is how instance metadata answers who wants a token: `silent` is what a hop limit does. With `version_1` it
    answers without one. `life` is how long what it gives lasts, in seconds; `numbered` makes each new.
    """

    def __init__(self, *, tls: bool = False) -> None:
        self.token: Literal["given", "silent", "403", "404"] = "given"
        self.version_1 = False
        self.role = "machine"
        self.authorization = "pod-token"
        self.life = _LONG
        self.numbered = False
        self.asked: list[str] = []
        self.signers: dict[str, str] = {}
        self.over = threading.Event()
        self._tls = tls

    def __enter__(self) -> Self:
        """Start to serve."""
        self._folder = tempfile.TemporaryDirectory(prefix="aws-credentials-")
        self._httpd = ThreadingHTTPServer((HOST, 0), type("Handler", (_Handler,), {"aws": self}))
        self._httpd.daemon_threads = True
        self._httpd.block_on_close = False
        if self._tls:
            import trustme

            authority = trustme.CA()
            authority.cert_pem.write_to_path(self.ca_file)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(HOST, "*.amazonaws.com").configure_cert(context)
            self._httpd.socket = context.wrap_socket(
                self._httpd.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.over.set()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._folder.cleanup()

    @property
    def port(self) -> int:
        """Its loopback port."""
        return int(self._httpd.server_address[1])

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    @property
    def ca_file(self) -> str:
        """The PEM file of the authority that vouches for it, if it speaks TLS."""
        return str(Path(self._folder.name, "ca.pem"))

    def give(self, *asked: str) -> tuple[str, datetime]:
        """A key id and when it expires."""
        self.asked.append(" ".join(asked))
        number = (str(len(self.asked)),) if self.numbered else ()
        return key_id(*asked, *number), datetime.now(UTC) + timedelta(seconds=self.life)


class _Handler(BaseHTTPRequestHandler):
    aws: AwsCredentials
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        if self.aws.token == "silent":
            self.aws.over.wait()
            self.close_connection = True
        elif self.aws.token == "given":
            self._send(200, "metadata-token")
        else:
            self._send(int(self.aws.token), "")

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        if target.path.startswith("/bucket/"):
            signer = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
            self.aws.signers[target.path] = signer
            self._send(404, "<Error><Code>NoSuchKey</Code></Error>")
            return
        query = dict(parse_qsl(target.query))
        if target.path.startswith("/latest/meta-data/iam/security-credentials/"):
            self._metadata(target.path.rpartition("/")[2])
        elif target.path == "/creds":
            if (token := self.headers.get("Authorization", "")) != self.aws.authorization:
                self._send(401, json.dumps({"code": "no", "message": f"{len(token)} characters"}))
            else:
                self._json("container", token)
        elif target.path == "/federation/credentials" and self.headers.get("x-amz-sso_bearer_token") == "sso-token":
            name, until = self.aws.give("sso", query["account_id"], query["role_name"])
            keys = {"accessKeyId": name, "secretAccessKey": "s", "sessionToken": "t"}
            self._send(200, json.dumps({"roleCredentials": keys | {"expiration": int(until.timestamp() * 1000)}}))
        else:
            self._send(401, "{}")

    def _metadata(self, role: str) -> None:
        if self.headers.get("x-aws-ec2-metadata-token") != "metadata-token" and not self.aws.version_1:
            self._send(401, "")
        elif not self.aws.role or role not in ("", self.aws.role):
            self._send(404, "")
        elif not role:
            self._send(200, self.aws.role)
        else:
            self._json("metadata", role)

    def _json(self, *asked: str) -> None:
        name, until = self.aws.give(*asked)
        keys = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": name, "SecretAccessKey": "s", "Token": "t"}
        times = {"LastUpdated": "2026-01-01T00:00:00Z", "Expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        self._send(200, json.dumps(keys | times))

    def do_POST(self) -> None:
        """STS, whose parameters come in the query or in the body."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        asked = dict(parse_qsl(f"{urlsplit(self.path).query}&{body}"))
        if asked.get("RoleArn", "").endswith("/forbidden"):
            message = f"User: arn:aws:iam::1:user/me is not authorized to perform: sts:{asked['Action']}"
            self._send(
                403,
                f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{message}</Message></Error></ErrorResponse>",
            )
            return
        caller = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        name, until = self.aws.give(asked["Action"], asked["RoleArn"], asked.get("WebIdentityToken", caller))
        keys = f"<AccessKeyId>{name}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
        result = (
            f"<Credentials>{keys}<Expiration>{until:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials><AssumedRoleUser>"
            f"<Arn>{asked['RoleArn']}</Arn><AssumedRoleId>x:y</AssumedRoleId></AssumedRoleUser>"
        )
        action = asked["Action"]
        self._send(
            200,
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>{result}'
            f"</{action}Result></{action}Response>",
        )

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing: `asked` is the record."""
