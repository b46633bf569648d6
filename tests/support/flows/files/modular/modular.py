"""A flow that uses modules and data files of its author's."""

from shipped import area, words

from runner import Flow, task


@task
def measure() -> dict[str, object]:
    from shipped import late

    return {"area": area(3, 4), "words": words(), "late": late.VALUE, "folder": late.folder()}


with Flow("modular") as flow:
    measure()
