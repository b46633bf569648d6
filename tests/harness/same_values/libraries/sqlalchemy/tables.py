"""Tables without models, with a type of the file: sqlalchemy #11530."""

import enum

import sqlalchemy as sa

from runner import Flow, task


class Colour(enum.Enum):
    RED = 1


META = sa.MetaData(naming_convention={"uq": "uq_%(table_name)s"})
PAINT = sa.Table("paint", META, sa.Column("id", sa.Integer, primary_key=True), sa.Column("colour", sa.Enum(Colour)))
ALL = sa.select(PAINT).where(PAINT.c.id > sa.bindparam("least"))


@task
def painted():
    engine = sa.create_engine("sqlite://")
    META.create_all(engine)
    with engine.begin() as connection:
        connection.execute(PAINT.insert(), [{"colour": Colour.RED}, {"colour": None}])
        return [tuple(row) for row in connection.execute(ALL, {"least": 0})], str(ALL)


with Flow("tables") as flow:
    painted()
