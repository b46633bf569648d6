"""A flow that only the program makes: prefect #16887."""

# run as a script
from runner import Flow, task


@task
def doubled(number):
    return 2 * number


if __name__ == "__main__":
    with Flow("flow below the guard") as flow:
        doubled(doubled(3))
