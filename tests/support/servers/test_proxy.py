"""The proxy that writes down what passes."""

import pytest
import requests
from botocore.config import Config

from support.servers.proxy import Passed, Proxy
from support.servers.s3_as_aws import S3AsAws
from support.servers.sdk_checks import s3_client


def test_requests_pass_and_are_remembered() -> None:
    with S3AsAws() as s3, Proxy() as proxy:
        config = Config(proxies={"http": proxy.url}, s3={"addressing_style": "path"})
        client = s3_client(s3.server, config=config)
        client.put_object(Bucket="bucket", Key="a b", Body=b"body")
        assert client.get_object(Bucket="bucket", Key="a b")["Body"].read() == b"body"
        assert client.head_object(Bucket="bucket", Key="a b")["ContentLength"] == 4
        url = f"{s3.url}/bucket/a%20b"
        assert proxy.requests == [Passed("PUT", url), Passed("GET", url), Passed("HEAD", url)]


def test_a_tunnel_leads_to_whoever_plays_the_host() -> None:
    with S3AsAws(tls=True) as s3:
        host = "bucket.s3.eu-central-1.amazonaws.com"
        with Proxy({host: s3.port}) as proxy:
            config = Config(proxies={"https": proxy.url}, s3={"addressing_style": "virtual"})
            client = s3_client(s3.server, config=config, endpoint_url=None)
            client.put_object(Bucket="bucket", Key="key", Body=b"body")
            assert s3.objects == {"key": b"body"}
            assert s3.requests[0].headers["host"] == host
            assert proxy.requests == [Passed("CONNECT", f"{host}:443")]


def test_nothing_leaves_the_loopback() -> None:
    with Proxy() as proxy:
        proxies = {"http": proxy.url, "https": proxy.url}
        assert requests.get("http://example.com/", proxies=proxies, timeout=5).status_code == 502
        with pytest.raises(requests.exceptions.ProxyError, match="502"):
            requests.get("https://example.com/", proxies=proxies, timeout=5)
        assert [one.method for one in proxy.requests] == ["GET", "CONNECT"]
