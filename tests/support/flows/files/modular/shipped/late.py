from pathlib import Path

VALUE = "imported in the task"


def folder() -> str:
    return str(Path(__file__).parents[1])
