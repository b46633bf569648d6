"""A program reads its arguments when it is loaded: Starfish-develop/Starfish #18."""

# run as a script --limit 5
import argparse

from runner import Flow, task

parser = argparse.ArgumentParser()
parser.add_argument("--limit", type=int, default=1)
ARGUMENTS = parser.parse_args()


@task
def limit():
    return ARGUMENTS.limit


with Flow("arguments of a program") as flow:
    limit()
