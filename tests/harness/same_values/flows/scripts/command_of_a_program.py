"""A command line that is read when a program is loaded: tensorflow/models #2481."""

# run as a script --limit 5
import click

from runner import Flow, task

FOUND = {}


@click.command()
@click.option("--limit", default=1)
def main(limit):
    FOUND["limit"] = limit


main(standalone_mode=False)


@task
def limit():
    return FOUND["limit"]


with Flow("command of a program") as flow:
    limit()
