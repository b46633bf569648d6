"""A class of settings that the program changes below its guard: GoogleCloudPlatform/cloudml-samples #254."""

# run as a script
from runner import Flow, task


class Settings:
    limit = 1


@task
def limit():
    return Settings.limit


with Flow("class changed below the guard") as flow:
    limit()

if __name__ == "__main__":
    Settings.limit = 3
