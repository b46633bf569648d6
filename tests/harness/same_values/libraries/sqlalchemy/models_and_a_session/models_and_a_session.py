"""Models are written and read in a session, and an instance is a task's result: sqlalchemy-json #47."""

from models import Base, Sale, Shop
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from runner import Flow, task


@task
def sold():
    Base.metadata.create_all(engine := create_engine("sqlite://"))
    with Session(engine, expire_on_commit=False) as session:
        session.add(Shop(sales=[Sale(), Sale(data={"a": 1})]))
        session.commit()
        return session.scalars(select(Sale).order_by(Sale.id)).all()[1]


@task
def told(sale):
    return sale.id, sale.shop.id, sale.data, type(sale) is Sale


with Flow("models and a session") as flow:
    told(sold())
