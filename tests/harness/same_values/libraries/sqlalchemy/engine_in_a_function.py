"""An engine that a cached function makes: airflow #28146."""

from functools import lru_cache

from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool

from runner import Flow, task


@lru_cache
def engine():
    return create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})


@task
def asked():
    with engine().connect() as connection:
        row = connection.execute(text("select 1 as one, 'x' as x")).mappings().one()
        return dict(row), engine() is engine()


with Flow("engine in a function") as flow:
    asked()
