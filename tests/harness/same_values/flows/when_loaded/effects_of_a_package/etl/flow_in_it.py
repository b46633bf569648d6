"""A package does something when it is imported, before the flow in it: prefect #6162."""

import os

from runner import Flow, task

from . import LIMIT, registry
from .registry import KNOWN

registry.KNOWN.append(__name__)


@task
def told():
    return LIMIT, KNOWN, os.environ["STAGE_OF_ETL"], __package__


with Flow("effects of a package") as flow:
    told()
