"""Classes that a helper's hook puts into a list keep their order: cloudpickle #391."""

import steps

from runner import Flow, task


class More(steps.Step):
    @staticmethod
    def apply(number):
        return number + 1


class Negative(steps.Step):
    @staticmethod
    def apply(number):
        return -number


@task
def folded():
    return Negative.apply(1), steps.folded(3)


with Flow("order of a registry") as flow:
    folded()
