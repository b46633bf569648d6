"""Files are opened in packages that nothing imports: Nuitka #203."""

import pkgutil
from importlib import resources

from runner import Flow, task


@task
def opened():
    return (resources.files("texts") / "more" / "words.txt").read_text()


@task
def got():
    return pkgutil.get_data("texts.more", "words.txt")


with Flow("files that are opened") as flow:
    opened(), got()
