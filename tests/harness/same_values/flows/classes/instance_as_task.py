"""Bound methods and objects that can be called, as tasks: joblib #643."""

from runner import Flow, task


class Scaler:
    def __init__(self, factor):
        self.factor = factor
        self.calls = 0

    def __call__(self, number):
        self.calls += 1
        return self.factor * number, self.calls

    def scale(self, number):
        return self(number)


SCALER = Scaler(3)


@task
def calls(_):
    return SCALER.calls


with Flow("instance as task") as flow:
    calls(task(SCALER.scale, name="scale")(2))
