"""An object of the file's own that the program changes below its guard: GoogleCloudPlatform/cloudml-samples #254."""

# run as a script
from runner import Flow, task


class Settings:
    limit = 1


SETTINGS = Settings()


@task
def limit():
    return SETTINGS.limit, Settings.limit


with Flow("instance changed below the guard") as flow:
    limit()

if __name__ == "__main__":
    SETTINGS.limit = 3
