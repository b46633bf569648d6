"""flow.run() and print at the top level do nothing there: prefect #9329."""

from runner import Flow, Parameter, task


@task
def ran(folder):
    if folder:
        with open(f"{folder}/ran.txt", "a") as stream:
            stream.write("ran\n")
    return bool(folder)


with Flow("run at the top level") as flow:
    ran(Parameter("folder", default=""))

print(flow.run().result("ran"))
