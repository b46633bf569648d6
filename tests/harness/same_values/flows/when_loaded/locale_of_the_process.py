"""A locale that is set for all of the process: weiwei/junitparser #64."""

import locale

from runner import Flow, task

locale.setlocale(locale.LC_ALL, "C.UTF-8")


@task
def told():
    return locale.setlocale(locale.LC_NUMERIC), locale.setlocale(locale.LC_TIME)


with Flow("locale of the process") as flow:
    told()
