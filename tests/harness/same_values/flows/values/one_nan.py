"""A NaN of the flow's file is found in a list that holds it: cloudpickle #262."""

from runner import Flow, task

NAN = float("nan")
CHOICES = [NAN, 1.0]


@task
def found():
    return NAN in CHOICES, CHOICES.index(NAN), {NAN: 1}.get(CHOICES[0])


with Flow("one nan") as flow:
    found()
