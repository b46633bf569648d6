"""S3 as AWS really answers where moto doesn't: regions, denials, skewed clocks, lost answers.

In-process and programmable; it checks what a request claims, never its signature. Sources:
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, …/API/API_HeadBucket.html, …/API/API_GetObject.html
(the permissions), …/userguide/conditional-writes.html
"""

import hashlib
import re
import ssl
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from . import HOST, Server

_FAILURES = {500: "InternalError", 503: "SlowDown", 409: "ConditionalRequestConflict", 403: "AccessDenied"}
_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@dataclass(frozen=True)
class Request:
    """What the server saw; header names in lower case, `key` empty for the bucket itself."""

    method: str
    path: str
    headers: dict[str, str]
    bucket: str
    key: str
    query: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def scope(self) -> list[str]:
        """Key id, date, region, service and the rest of the signature's scope; empty if there is no signature."""
        claimed = self.headers.get("authorization", "").partition("Credential=")[2].partition(",")[0]
        claimed = claimed or self.query.get("X-Amz-Credential", "")
        return claimed.split("/") if claimed else []

    @property
    def writes(self) -> bool:
        """Whether it makes an object visible: a plain PUT, or the POST that completes a multipart upload."""
        return (self.method == "PUT" and "partNumber" not in self.query) or (
            self.method == "POST" and "uploadId" in self.query
        )


@dataclass(frozen=True)
class Lost:
    """The answer to the `nth` write of `key` by `method` (POST completes a multipart upload) never arrives.

    The write is acted upon; then the connection closes, or the answer is a 500.
    """

    key: str
    nth: int = 1
    how: Literal["close", "500"] = "close"
    method: str = "PUT"


@dataclass
class _Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class S3AsAws:
    """One bucket of AWS's, path style or `<bucket>.…` as the Host; change its attributes at any time.

    `fail_next` holds `(method, status, times)`, answered before anything is done; `lose_answer` holds `Lost`.
    With `tls`, clients trust it by `ca_file`; its names are the loopback's and those of S3's endpoints.
    """

    def __init__(self, *, bucket: str = "bucket", region: str = "eu-central-1", tls: bool = False) -> None:
        self.bucket = bucket
        self.region = region
        self.access_key = "AKIDEXAMPLE"
        self.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        self.objects: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.can_list = self.can_read = self.can_write = self.can_delete = self.signature_ok = True
        self.overwrites = False  # what If-None-Match says never arrives
        self.clock_skewed = False
        self.redirect_mode: Literal["400", "301"] = "400"
        self.delay = 0.0
        self.fail_next: list[tuple[str, int, int]] = []
        self.lose_answer: list[Lost] = []
        self._tls = tls
        self._turn = threading.RLock()
        self._stopped = threading.Event()
        self._writes: Counter[tuple[str, str]] = Counter()
        self._uploads: dict[str, dict[int, bytes]] = {}

    def __enter__(self) -> Self:
        """Start to serve."""
        self._folder = tempfile.TemporaryDirectory(prefix="s3-as-aws-")
        self._httpd = _HTTPServer((HOST, 0), type("Handler", (_Handler,), {"s3": self}))
        if self._tls:
            self._httpd.socket = self._server_context().wrap_socket(
                self._httpd.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, also where a delay is still running."""
        self._stopped.set()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    @property
    def port(self) -> int:
        """Its loopback port."""
        return int(self._httpd.server_address[1])

    @property
    def ca_file(self) -> str:
        """The PEM file of the authority that vouches for it, if it speaks TLS."""
        return str(Path(self._folder.name, "ca.pem"))

    @property
    def server(self) -> Server:
        """How clients find it and sign for it."""
        environ = {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.url,
        }
        return Server(self.url, environ | ({"AWS_CA_BUNDLE": self.ca_file} if self._tls else {}))

    def seen(self, method: str, key: str | None = None) -> list[Request]:
        """The requests so far of this method, and for this key if one is given."""
        with self._turn:
            return [one for one in self.requests if one.method == method and key in (None, one.key)]

    def _server_context(self) -> ssl.SSLContext:
        import trustme

        authority = self.authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        regional = f"s3.{self.region}.amazonaws.com"
        names = [HOST, "localhost", "s3.amazonaws.com", "*.s3.amazonaws.com", regional, f"*.{regional}"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        return context

    def _answer(self, request: Request) -> _Answer | None:
        """Judge and act, one request at a time; None closes the connection instead of answering."""
        if self.delay:
            self._stopped.wait(self.delay)
        with self._turn:
            self.requests.append(request)
            refused = self._injected(request) or self._refusal(request)
            answer = refused or self._act(request)
            about_bucket = not request.key or answer.status in (301, 400)
            if about_bucket and request.bucket == self.bucket:
                answer.headers["x-amz-bucket-region"] = self.region
            if refused or not request.writes:
                return answer
            written = (request.method, request.key)
            self._writes[written] += 1
            lost = [
                one for one in self.lose_answer if ((one.method, one.key), one.nth) == (written, self._writes[written])
            ]
            if not lost:
                return answer
            return None if lost[0].how == "close" else _error(500, "InternalError", "We encountered an error.")

    def _injected(self, request: Request) -> _Answer | None:
        for at, (method, status, times) in enumerate(self.fail_next):
            if method == request.method and times > 0:
                self.fail_next[at] = (method, status, times - 1)
                return _error(status, _FAILURES.get(status, "InternalError"), "Please try again.")
        return None

    def _refusal(self, request: Request) -> _Answer | None:
        """The first of AWS's checks that the request doesn't pass."""
        if request.bucket != self.bucket:
            return _error(404, "NoSuchBucket", "The specified bucket does not exist")
        scope = request.scope
        if not scope:
            return _denied()
        return self._misdirected(scope[2]) or self._unknown(scope[0]) or self._skewed(request.headers["x-amz-date"])

    def _misdirected(self, region: str) -> _Answer | None:
        if region != self.region:
            if self.redirect_mode == "301":
                message = "The bucket you are attempting to access must be addressed using the specified endpoint."
                return _error(301, "PermanentRedirect", message, f"<Endpoint>{self.bucket}.s3.amazonaws.com</Endpoint>")
            message = (
                f"The authorization header is malformed; the region '{region}' is wrong; expecting '{self.region}'"
            )
            return _error(400, "AuthorizationHeaderMalformed", message, f"<Region>{self.region}</Region>")
        return None

    def _unknown(self, key_id: str) -> _Answer | None:
        if key_id != self.access_key:
            message = "The AWS Access Key Id you provided does not exist in our records."
            return _error(403, "InvalidAccessKeyId", message)
        if not self.signature_ok:
            message = "The request signature we calculated does not match the signature you provided."
            return _error(403, "SignatureDoesNotMatch", message)
        return None

    def _skewed(self, asked_at: str) -> _Answer | None:
        if self.clock_skewed:
            now = datetime.strptime(asked_at, "%Y%m%dT%H%M%S%z") + timedelta(minutes=20)
            message = "The difference between the request time and the current time is too large."
            times = f"<RequestTime>{asked_at}</RequestTime><ServerTime>{now:%Y-%m-%dT%H:%M:%SZ}</ServerTime>"
            more = f"{times}<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>"
            return _error(403, "RequestTimeTooSkewed", message, more)
        return None

    def _act(self, request: Request) -> _Answer:
        if request.method in ("GET", "HEAD"):
            return self._read(request) if request.key else self._look(request)
        if request.method == "POST" and "delete" in request.query:
            return self._delete(request)
        if not (self.can_write and request.key):
            return _denied()
        if request.method == "DELETE":
            if "uploadId" in request.query:
                self._uploads.pop(request.query["uploadId"], None)
            else:
                self.objects.pop(request.key, None)
            return _Answer(204)
        return self._write(request)

    def _delete(self, request: Request) -> _Answer:
        """Remove each, and say of each that it could not be: …/API/API_DeleteObjects.html."""
        results = ""
        for key in re.findall(r"<Key>(.*?)</Key>", request.body.decode()):
            if self.can_delete:
                self.objects.pop(unescape(key), None)
                results += f"<Deleted><Key>{key}</Key></Deleted>"
            else:
                results += f"<Error><Key>{key}</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        return _Answer(200, f"<DeleteResult {_NAMESPACE}>{results}</DeleteResult>".encode())

    def _look(self, request: Request) -> _Answer:
        if not self.can_list:
            return _denied()
        if request.method == "HEAD" or "location" in request.query:
            body = f"<LocationConstraint {_NAMESPACE}>{self.region}</LocationConstraint>"
            return _Answer(200, body.encode())
        return _Answer(200, self._listing(request.query).encode())

    def _read(self, request: Request) -> _Answer:
        if not self.can_read:
            return _denied()
        content = self.objects.get(request.key)
        if content is None:
            missing = _error(404, "NoSuchKey", "The specified key does not exist.")
            return missing if self.can_list else _denied()
        headers = {
            "ETag": _etag(content),
            "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
            "Content-Type": "binary/octet-stream",
            "Accept-Ranges": "bytes",
        }
        wanted = request.headers.get("range", "")
        if not wanted.startswith("bytes="):
            return _Answer(200, content, headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(content) - int(last))
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        if start >= stop:
            return _error(416, "InvalidRange", "The requested range is not satisfiable")
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return _Answer(206, content[start:stop], headers)

    def _write(self, request: Request) -> _Answer:
        upload = request.query.get("uploadId")
        if "uploads" in request.query:
            upload = uuid.uuid4().hex
            self._uploads[upload] = {}
            return _result("InitiateMultipartUpload", Bucket=self.bucket, Key=request.key, UploadId=upload)
        if upload is not None and upload not in self._uploads:
            return _error(404, "NoSuchUpload", "The specified upload does not exist.")
        if upload is not None and request.method == "PUT":
            self._uploads[upload][int(request.query["partNumber"])] = request.body
            return _Answer(200, headers={"ETag": _etag(request.body)})
        if not self.overwrites and request.headers.get("if-none-match") == "*" and request.key in self.objects:
            message = "At least one of the pre-conditions you specified did not hold"
            return _error(412, "PreconditionFailed", message, "<Condition>If-None-Match</Condition>")
        if upload is None:
            self.objects[request.key] = request.body
            return _Answer(200, headers={"ETag": _etag(request.body)})
        parts = self._uploads.pop(upload)
        content = self.objects[request.key] = b"".join(parts[number] for number in sorted(parts))
        return _result("CompleteMultipartUpload", Bucket=self.bucket, Key=request.key, ETag=_etag(content))

    def _listing(self, query: dict[str, str]) -> str:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        encode = quote if query.get("encoding-type") == "url" else escape
        contents, folders = "", dict[str, None]()
        for key in sorted(self.objects):
            if not key.startswith(prefix) or key <= query.get("start-after", ""):
                continue
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if found:
                folders[prefix + head + delimiter] = None
                continue
            contents += (
                f"<Contents><Key>{encode(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>{escape(_etag(self.objects[key]))}</ETag><Size>{len(self.objects[key])}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
            )
        common = "".join(f"<CommonPrefixes><Prefix>{encode(one)}</Prefix></CommonPrefixes>" for one in folders)
        encoding = "<EncodingType>url</EncodingType>" if encode is quote else ""
        return (
            f"<ListBucketResult {_NAMESPACE}><Name>{self.bucket}</Name><Prefix>{encode(prefix)}</Prefix>{encoding}"
            f"<IsTruncated>false</IsTruncated>{contents}{common}</ListBucketResult>"
        )


def _error(status: int, code: str, message: str, more: str = "") -> _Answer:
    body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{more}<RequestId>0</RequestId></Error>"
    return _Answer(status, body.encode())


def _denied() -> _Answer:
    return _error(403, "AccessDenied", "Access Denied")


def _result(name: str, **values: str) -> _Answer:
    body = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in values.items())
    return _Answer(200, f"<{name}Result {_NAMESPACE}>{body}</{name}Result>".encode())


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


class _HTTPServer(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away, or that doesn't trust the certificate, is what a test wants."""


class _Handler(BaseHTTPRequestHandler):
    s3: S3AsAws
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        target = urlsplit(self.path)
        host = headers.get("host", "").partition(":")[0]
        path = unquote(target.path).removeprefix("/")
        if host.startswith(f"{self.s3.bucket}."):
            path = f"{self.s3.bucket}/{path}"
        bucket, _, key = path.partition("/")
        query = {name: values[0] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
        request = Request(self.command, self.path, headers, bucket, key, query, self._body(headers))
        answer = self.s3._answer(request)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(answer.body)))
        if answer.body.startswith(b"<"):
            self.send_header("Content-Type", "application/xml")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b"".join(self._chunks())
        else:
            body = self.rfile.read(int(headers.get("content-length", 0)))
        if "aws-chunked" not in headers.get("content-encoding", ""):
            return body
        # https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
        content, rest = b"", body
        while size := int(rest.partition(b"\r\n")[0].partition(b";")[0], 16):
            rest = rest.partition(b"\r\n")[2]
            content, rest = content + rest[:size], rest[size + 2 :]
        return content

    def _chunks(self) -> Iterable[bytes]:
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name in the base class)
        """Say nothing: `requests` is the record."""
