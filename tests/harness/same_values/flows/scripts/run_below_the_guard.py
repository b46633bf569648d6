"""A program runs its flow first: prefect #3511."""

# run as a script
from runner import Flow, task

CALLS = []


@task
def called():
    CALLS.append(1)
    return len(CALLS)


with Flow("run below the guard") as flow:
    called()

if __name__ == "__main__":
    flow.run()
