"""A guard for the main module, prints and a class after the flow: metaflow #424."""

from runner import Flow, task

print("loading")


@task
def used():
    return Late().name, __name__ == "__main__", LATER


with Flow("guard and calls at the end") as flow:
    used()


class Late:
    name = "late"


LATER = [Late.name]

if __name__ == "__main__":
    print(flow.run().result("used"))
    flow.storage.build()
