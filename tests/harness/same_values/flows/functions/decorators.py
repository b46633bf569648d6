"""A task's function in a decorator of the file, with wraps and arguments: joblib #1371."""

from functools import wraps

from runner import Flow, task


def times(factor):
    def decorate(function):
        @wraps(function)
        def wrapper(*args, **kwargs):
            return factor * function(*args, **kwargs)

        return wrapper

    return decorate


@task
@times(3)
def number():
    """Return a number."""
    return 2


@task
def told():
    return number.function.__name__, number.function.__doc__, number.function.__wrapped__()


with Flow("decorators") as flow:
    number()
    told()
