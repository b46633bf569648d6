"""A closure whose variable was never set fails in the same words: cloudpickle #73."""

from runner import Flow, task


def make(wanted):
    if wanted:
        value = 1

    def get():
        return value

    return get


GET = make(wanted=False)


@task
def get():
    return GET()


with Flow("empty cell") as flow:
    get()
