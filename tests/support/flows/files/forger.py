"""Writes what a parameter says in every way in which a flow can write."""

import logging
import os
import subprocess
import sys

import runner
from runner import Flow, Parameter, task


@task
def write(text: str) -> None:
    print(f"the day is {text}")
    print(text, file=sys.stderr)
    os.write(1, f"{text}\nno end".encode())
    runner.logger().info("after a line without an end")
    subprocess.run([sys.executable, "-c", "import sys; print(sys.argv[1])", text], check=True)
    more = {"last": True, "logger": "runner.run", "level": "FATAL", "time": "never"}
    for name in ("runner", "runner.run", "runner.pump", "runner.run.deeper", "runner.flow", "runner.mine", "elsewhere"):
        logging.getLogger(name).warning("said by %s", name, extra=more)
        logging.getLogger(name).warning({**more, "message": "said by a dictionary"})
    runner.logger("pump").info(text)


with Flow("forger") as flow:
    write(Parameter("text", default="fine"))
