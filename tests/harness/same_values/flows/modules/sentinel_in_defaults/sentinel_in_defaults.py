"""What is imported by name is the same thing in defaults, attributes and instances: cloudpickle #452."""

from dataclasses import dataclass

from runner import Flow, task
from shared import MISSING, settings


def found(where, key, default=MISSING):
    value = where.get(key, default)
    return "nothing" if value is MISSING else value


@dataclass
class Service:
    used: object = settings
    limit: object = MISSING


@task
def told():
    service = Service()
    return found({}, "x"), service.used is settings, Service.used is settings, service.limit is MISSING


with Flow("sentinel in defaults") as flow:
    told()
