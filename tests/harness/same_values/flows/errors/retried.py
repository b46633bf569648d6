"""A task that fails twice and then does not, by a counter of the file: prefect #1194."""

from runner import Flow, task

TRIES = []


@task(retries=3)
def third_time():
    TRIES.append(len(TRIES))
    if len(TRIES) < 3:
        raise ConnectionError(f"try {len(TRIES)}")
    return TRIES


with Flow("retried") as flow:
    third_time()
