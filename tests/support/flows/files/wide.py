"""Ten thousand elements."""

from runner import Flow, task


@task
def numbers() -> list[int]:
    return list(range(10_000))


@task
def double(number: int) -> int:
    return 2 * number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


with Flow("wide") as flow:
    total(double.map(numbers()))
