"""A task asks whether its file is the program: cpython #103390."""

# run as a script
from runner import Flow, task


@task  # refused
def told():
    return __name__ == "__main__"


with Flow("is it the program") as flow:
    told()
