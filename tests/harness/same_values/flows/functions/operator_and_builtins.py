"""Built-in functions and methods as tasks: cloudpickle #46."""

import operator

from runner import Flow, task

WORDS = ["b", "A"]
length, joined = task(len, name="length"), task(", ".join, name="joined")
sort = task(sorted, name="sort")


@task
def keyed():
    return sorted(WORDS, key=str.lower), list(map(operator.itemgetter(0), ["ab", "cd"])), max(WORDS, key=WORDS.index)


with Flow("operator and builtins") as flow:
    length(sort(WORDS))
    joined(sort(WORDS))
    keyed()
