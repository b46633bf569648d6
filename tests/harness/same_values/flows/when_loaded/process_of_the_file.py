"""A process that the file starts, and asks when it runs: prefect #17449."""

import subprocess
import sys

from runner import Flow, task

ANSWER = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)"
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
SERVER = subprocess.Popen([sys.executable, "-c", ANSWER], **PIPES)  # refused


@task
def told():
    SERVER.stdin.write("hello\n")
    SERVER.stdin.flush()
    said = SERVER.stdout.readline()
    SERVER.stdin.close()
    return said, SERVER.wait(5), SERVER.returncode


with Flow("process of the file") as flow:
    told()
