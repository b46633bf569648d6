"""Names that only the program has, below its guard: GoogleCloudPlatform/cloudml-samples #254."""

# run as a script
from runner import Flow, task


@task
def limit():
    return LIMIT


with Flow("names below the guard") as flow:
    limit()

if __name__ == "__main__":
    LIMIT = 3
