"""A function of the flow's file goes to a process that starts anew: prefect #17449."""

import multiprocessing

from runner import Flow, task


class Row:
    def __init__(self, number):
        self.number = number

    def doubled(self):
        return 2 * self.number


def double(row):
    return row.doubled()


@task
def doubles():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(double, [Row(1), Row(2)])


with Flow("pool by spawn") as flow:
    doubles()
