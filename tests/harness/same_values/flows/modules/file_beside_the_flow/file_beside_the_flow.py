"""A file that is read beside the flow's own __file__: prefect #5684."""

from pathlib import Path

from runner import Flow, task

HERE = Path(__file__).parent


@task
def words():
    return (HERE / "words.txt").read_text()


with Flow("file beside the flow") as flow:
    words()
