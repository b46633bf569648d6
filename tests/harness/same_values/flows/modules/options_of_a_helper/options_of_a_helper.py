"""Options of libraries that are set when the file is loaded: joblib/joblib #1071."""

import numpy as np
import options
from options import get_option

from runner import Flow, task

WIDE = {"width": 99}
np.set_printoptions(precision=2)
np.seterr(divide="raise")
options.set_option("memory", 123)
options.set_option("columns", WIDE)


@task
def told():
    return str(np.array([1.23456])), np.geterr()["divide"], get_option("memory"), get_option("columns") is WIDE


with Flow("options of a helper") as flow:
    told()
