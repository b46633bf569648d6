"""Filters of warnings that are set when the file is loaded: joblib/joblib #832."""

import warnings

from runner import Flow, task

warnings.filterwarnings("error", message="acme .*", category=UserWarning)
warnings.filterwarnings("ignore", message="other .*")


@task
def filtered():
    warnings.warn("other thing", stacklevel=1)
    try:
        warnings.warn("acme thing", UserWarning, stacklevel=1)
    except UserWarning as error:
        return str(error)


with Flow("warning filters") as flow:
    filtered()
