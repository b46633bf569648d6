"""A helper's constant that the program changes below its guard: GoogleCloudPlatform/cloudml-samples #254."""

# run as a script
import settings

from runner import Flow, task


@task
def limit():
    return settings.LIMIT


with Flow("helper changed below the guard") as flow:
    limit()

if __name__ == "__main__":
    settings.LIMIT = 3  # refused
