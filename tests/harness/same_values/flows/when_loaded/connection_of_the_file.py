"""A database in memory that is filled when the file is loaded: psycopg/psycopg2 #1205."""

import sqlite3

from runner import Flow, task

BASE = sqlite3.connect(":memory:", check_same_thread=False)  # refused
BASE.execute("create table rows (number int)")
BASE.executemany("insert into rows values (?)", [(1,), (2,)])


@task
def told():
    return BASE.execute("select sum(number) from rows").fetchone()


with Flow("connection of the file") as flow:
    told()
