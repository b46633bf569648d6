"""An instance of a class that a function makes, as a result: uqfoundation/dill #466."""

from runner import Flow, task


def make(name):
    class Local:
        label = name

        def show(self):
            return f"<{self.label}>"

    return Local


One = make("one")


@task
def made():
    return One()


@task
def shown(given):
    return given.show(), type(given) is One, type(given).__qualname__


with Flow("local class") as flow:
    shown(made())
