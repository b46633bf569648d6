"""A pipeline with functions of the file is fitted here and used there: scikit-learn #12903."""

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from runner import Flow, task

POWER = 2


def raised(numbers):
    return numbers**POWER


steps = FunctionTransformer(raised), FunctionTransformer(lambda numbers: numbers + 1), StandardScaler()
MODEL = make_pipeline(*steps, LinearRegression())
MODEL.fit(np.arange(6).reshape(3, 2), [1, 2, 4])


@task
def predict():
    return MODEL.predict([[1, 2]]).round(6).tolist(), MODEL[-1].coef_


with Flow("function transformer") as flow:
    predict()
