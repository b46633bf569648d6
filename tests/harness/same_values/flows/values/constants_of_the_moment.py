"""What the file did to others, where a constant is another one in each process: funkelab/gunpowder #77."""

import os
import uuid

from runner import Flow, task

RUN = str(uuid.uuid4())
os.environ["STAGE_OF_THE_MOMENT"] = "production"


@task
def stage():
    return len(RUN), os.environ.get("STAGE_OF_THE_MOMENT", "development")


with Flow("constants of the moment") as flow:
    stage()
