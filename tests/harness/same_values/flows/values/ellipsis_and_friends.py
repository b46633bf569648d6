"""Singletons stay what they are: cloudpickle #209."""

import types

from runner import Flow, task

ODD = [..., NotImplemented, None, type(None), type(...), types.MappingProxyType, slice(1, None), range(3)]


@task
def made():
    return ODD


@task
def checked(given):
    return given[0] is ..., given[1] is NotImplemented, given[3] is type(None), given[6].stop, ODD[7].stop


with Flow("ellipsis and friends") as flow:
    checked(made())
