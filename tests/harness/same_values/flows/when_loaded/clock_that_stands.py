"""A clock that stands still, as in tests: spulec/freezegun #437."""

import time

from runner import Flow, task

time.time = lambda: 1_000_000.0
time.sleep = lambda seconds: None


@task(retries=1, retry_delay=1)
def told():
    time.sleep(1000)
    return time.time()


with Flow("clock that stands") as flow:
    told()
