"""What a start says of a machine, or of a server, that does not let it: the thing that is wrong, and no other."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.contract import endpoint, through
from support.flows import located, publish
from support.places import s3_place
from support.starting import start
from support.wire import Fault, Relay

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place
    from support.servers import Server


def test_too_few_open_files_are_told_as_that(here: Place) -> None:
    """It was «a bug in runner», 70, or no word at all."""
    for most in ("8", "10"):
        ran = start(located(here, "trouble"), prefix=("prlimit", f"--nofile={most}"))
        assert ran.code == 78, ran
        assert f"{most} are all that one process may have open" in ran.error["message"]
        assert "ulimit -n" in ran.error["message"]


def test_a_page_from_the_start_is_no_document_of_another_run(moto: Server) -> None:
    """A login page for each request gave 65: «use another run id, or a newer version of runner»."""
    direct = s3_place(moto)
    page = Fault("answer", "GET", status=200, body=b"<html>Log in</html>", headers=(("Content-Type", "text/html"),))
    with Relay(f"http://{endpoint(direct)}", page) as relay:
        place = through(direct, relay.port, endpoint(direct))
        ran = start(located(place, "etl") | {"RUNNER_RUN_ID": "r", "RUNNER_PATIENCE": "0.5"})
    assert ran.code == 74, ran
    assert "not the storage's" in ran.error["message"]
    assert "run id" not in ran.error["message"]


@pytest.mark.parametrize("backend", ["s3"], indirect=True)
def test_an_authority_that_is_its_own_server_is_refused_with_what_helps(place: Place, tmp_path: Path) -> None:
    """AWS_CA_BUNDLE named the certificate, and the advice was to name it there.

    rustls/webpki#205, seanmonstar/reqwest#2041, lightningnetwork/lnd#5450: no option lets rustls take it.
    """
    assert shutil.which("openssl")
    publish(place, "marked.py")
    codes = {}
    for kind, more in (("authority", ()), ("server", ("-addext", "basicConstraints=critical,CA:FALSE"))):
        key, certificate = str(tmp_path / f"{kind}.key"), str(tmp_path / f"{kind}.pem")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run([*command, "-days", "2", *names, *more], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        with Relay(f"http://{endpoint(place)}", context=context) as relay:
            trusting = {"AWS_ENDPOINT_URL": f"https://localhost:{relay.port}", "AWS_CA_BUNDLE": certificate}
            ran = start(located(place, "nothing") | trusting)
        codes[kind] = ran.code
        if kind == "authority":
            assert "basicConstraints=critical,CA:FALSE" in ran.error["message"], ran
            assert "Name the authority's file" not in ran.error["message"]
    assert codes == {"authority": 69, "server": 66}
