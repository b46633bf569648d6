"""Python in a subprocess, its environment and its output: ray #31099."""

import os
import subprocess
import sys

from runner import Flow, Parameter, task


@task
def called(folder):
    code = "import os, sys; open('out.txt', 'w').write(os.environ['WORD']); print(sys.argv[1])"
    environ = dict(os.environ, WORD="word")
    ran = subprocess.run([sys.executable, "-c", code, "arg"], cwd=folder, env=environ, capture_output=True, text=True)
    return ran.stdout, ran.stderr, ran.returncode


with Flow("subprocess of python") as flow:
    called(Parameter("folder"))
