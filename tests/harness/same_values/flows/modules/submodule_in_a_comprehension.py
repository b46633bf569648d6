"""A submodule that only a comprehension, a lambda or getattr uses is imported: cloudpickle #581."""

import concurrent.futures
import xml.etree.ElementTree
import xml.dom.minidom

from runner import Flow, task


@task
def comprehension():
    return [xml.etree.ElementTree.fromstring(text).tag for text in ("<a/>", "<b/>")]


@task
def other_ways():
    pool = getattr(concurrent, "futures").ThreadPoolExecutor
    return pool.__name__, (lambda text: xml.dom.minidom.parseString(text).documentElement.tagName)("<c/>")


with Flow("submodule in a comprehension") as flow:
    comprehension()
    other_ways()
