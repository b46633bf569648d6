"""Options, a text that was read in part, and a long list, which a program changes before it runs: pyphi #38."""

# run as a script
from collections import ChainMap
from configparser import ConfigParser
from io import StringIO

from runner import Flow, task

OPTIONS = ConfigParser()
OPTIONS.read_dict({"job": {"day": "monday"}})
DEFAULTS = ChainMap({"colour": "red"})
LINES = StringIO("first\nsecond\n")
NUMBERS = list(range(1000))


@task
def held():
    return OPTIONS["job"]["day"], dict(DEFAULTS), LINES.read(), sum(NUMBERS)


with Flow("options below the guard") as flow:
    held()

if __name__ == "__main__":
    OPTIONS["job"]["day"] = "sunday"
    DEFAULTS["colour"] = "blue"
    LINES.readline()
    NUMBERS[-1] = 0
