"""Functions that call themselves and each other, also nested ones: cloudpickle #62."""

from runner import Flow, task


def even(number):
    return number == 0 or odd(number - 1)


def odd(number):
    return number != 0 and even(number - 1)


def make():
    def factorial(number):
        return 1 if number < 2 else number * factorial(number - 1)

    return factorial


FACTORIAL = make()


@task
def counted():
    return even(10), odd(7), FACTORIAL(20)


with Flow("recursion") as flow:
    counted()
