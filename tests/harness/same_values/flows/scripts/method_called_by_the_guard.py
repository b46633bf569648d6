"""What a function below the guard prepares for the tasks: GoogleCloudPlatform/cloudml-samples #254."""

# run as a script
from runner import Flow, task


class Registry:
    def __init__(self):
        self.steps = {}

    def step(self, function):
        self.steps[function.__name__] = function
        return function


REGISTRY = Registry()


def main():
    REGISTRY.step(str.upper)


@task
def stepped(text):
    return [step(text) for step in REGISTRY.steps.values()]


with Flow("method called by the guard") as flow:
    stepped("a")

if __name__ == "__main__":
    main()
