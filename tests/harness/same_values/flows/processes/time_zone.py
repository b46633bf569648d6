"""A time zone that is set when the file is loaded: Unitech/pm2 #2118."""

import os
import time

from runner import Flow, task

os.environ["TZ"] = "EST+05"
time.tzset()


@task
def told():
    return time.tzname, time.timezone, time.localtime(0).tm_hour


with Flow("time zone") as flow:
    told()
