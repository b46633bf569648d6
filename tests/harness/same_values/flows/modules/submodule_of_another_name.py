"""A submodule is used in an inner function, of a package that has another name here: cloudpickle #255."""

import xml.dom as documents
from xml.dom import minidom as _loaded

from runner import Flow, task


@task
def parsed():
    return (lambda text: documents.minidom.parseString(text).documentElement.tagName)("<a/>")


with Flow("submodule of another name") as flow:
    parsed()
