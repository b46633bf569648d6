"""A program sets what others read only below its guard: GoogleCloudPlatform/cloudml-samples #254."""

# run as a script
import os

from runner import Flow, task


@task
def stage():
    return os.environ.get("STAGE_OF_A_PROGRAM", "development")


with Flow("environment below the guard") as flow:
    stage()

if __name__ == "__main__":
    os.environ["STAGE_OF_A_PROGRAM"] = "production"  # refused
