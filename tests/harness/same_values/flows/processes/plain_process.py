"""A process of its own, whose target is a function of the file: prefect #17449."""

import multiprocessing

from runner import Flow, Parameter, task


def write(path, text):
    with open(path, "w") as stream:
        stream.write(text)


@task
def written(folder):
    process = multiprocessing.get_context("fork").Process(target=write, args=(f"{folder}/a.txt", "child"))
    process.start()
    process.join()
    return process.exitcode


with Flow("plain process") as flow:
    written(Parameter("folder"))
