"""What the file configures holds when its tasks are called: scikit-learn #17634."""

import sklearn
from sklearn.preprocessing import StandardScaler

from runner import Flow, task

sklearn.set_config(transform_output="pandas")


@task
def scaled():
    return type(StandardScaler().fit_transform([[0.0], [2.0]])).__name__


with Flow("configured by the file") as flow:
    scaled()
