"""Models stand in the flow's file; they cannot be sent: sqlalchemy #5001."""

from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from runner import Flow, task


class Base(DeclarativeBase):  # refused
    pass


class Sale(Base):
    __tablename__ = "sale"
    id: Mapped[int] = mapped_column(primary_key=True)


@task
def sold():
    Base.metadata.create_all(engine := create_engine("sqlite://"))
    with Session(engine) as session:
        session.add(Sale())
        return session.scalars(select(Sale.id)).all()


with Flow("models in the file") as flow:
    sold()
