"""An engine cannot be sent: dill #74."""

from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from runner import Flow, task

ENGINE = create_engine("sqlite://")
SESSION = sessionmaker(ENGINE)  # refused


@task
def asked():
    with SESSION() as session:
        return session.scalar(text("select 1"))


with Flow("engine as constant") as flow:
    asked()
