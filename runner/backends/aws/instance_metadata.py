"""A short request that shows whether EC2's instance metadata answers: obstore alone would wait for half a minute.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import EnvironmentWrong

if TYPE_CHECKING:
    from runner.backends.aws.config import AwsConfig

_FAR = (
    "connected, and gave no token within {patience:g} s: in a container this mostly is the hop limit; raise"
    " HttpPutResponseHopLimit to 2"
)


def metadata_endpoint(config: AwsConfig) -> str:
    """Return the URL of the metadata service, without a slash at the end."""
    mode = config.setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode") or ""
    usual = "http://[fd00:ec2::254]" if mode.lower() == "ipv6" else "http://169.254.169.254"
    endpoint = config.setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint")
    return (endpoint or usual).rstrip("/")


def token_answer(config: AwsConfig) -> tuple[str, bool]:
    """Request a token, and return the answer's status, or why there is none, and whether anything was reached."""
    import socket
    from urllib.parse import urlsplit

    endpoint = metadata_endpoint(config)
    at = urlsplit(endpoint)
    try:
        host, port = at.hostname or "", at.port or 80
        patience = float(config.setting("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout") or 1)
    except ValueError as error:
        message = "AWS_EC2_METADATA_SERVICE_ENDPOINT or AWS_METADATA_SERVICE_TIMEOUT makes no sense"
        raise EnvironmentWrong(message, hint="Correct it, or unset it.") from error
    request = (
        f"PUT {at.path}/latest/api/token HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: 0\r\nConnection: close\r\n"
        "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
    )
    try:
        connection = socket.create_connection((host, port), timeout=patience)
    except (OSError, UnicodeError) as error:
        return f"{endpoint} cannot be reached: {getattr(error, 'strerror', None) or error}", False
    with connection:
        try:
            connection.sendall(request.encode())
            status = connection.recv(12).decode("ascii", "replace").partition(" ")[2]
        except TimeoutError:
            return f"{endpoint} {_FAR.format(patience=patience)}", True
        except OSError as error:
            return f"{endpoint} closed the connection: {error.strerror or error}", True
    return (status, True) if status == "200" else (f"{endpoint} refused a token: {status or 'no answer'}", True)
