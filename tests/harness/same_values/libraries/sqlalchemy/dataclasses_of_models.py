"""Models that are dataclasses stand in the flow's file; they cannot be sent: sqlalchemy #5508."""

from sqlalchemy import create_engine, select
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, Session, mapped_column, registry

from runner import Flow, task

mappers = registry()  # refused


@mappers.mapped_as_dataclass  # refused
class Point:
    __tablename__ = "point"
    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    x: Mapped[int] = mapped_column(default=1)

    @hybrid_property
    def twice(self):
        return self.x * 2


@task
def found():
    mappers.metadata.create_all(engine := create_engine("sqlite://"))
    with Session(engine) as session:
        session.add_all([Point(), Point(x=5)])
        return [repr(each) for each in session.scalars(select(Point).where(Point.twice > 2))]


with Flow("dataclasses of models") as flow:
    found()
