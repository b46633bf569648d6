"""A value that the program changes below its guard: GoogleCloudPlatform/cloudml-samples #254."""

# run as a script
from runner import Flow, task

SETTINGS = {"limit": 1}


@task
def limit():
    return SETTINGS["limit"]


with Flow("value changed below the guard") as flow:
    limit()

if __name__ == "__main__":
    SETTINGS["limit"] = 3
