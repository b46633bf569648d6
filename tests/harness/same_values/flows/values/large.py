"""A large constant and a large result: ray #5316."""

import hashlib

from runner import Flow, task

TABLE = bytes(range(256)) * 8_000
NUMBERS = list(range(100_000))


@task
def made():
    return TABLE * 2


@task
def checked(given):
    return len(given), hashlib.sha256(given).hexdigest(), sum(NUMBERS), 2**4000


with Flow("large") as flow:
    checked(made())
