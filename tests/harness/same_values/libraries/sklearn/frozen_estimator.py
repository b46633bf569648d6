"""An estimator that hands all on to another one is cloned and used: scikit-learn #24568."""

from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LinearRegression

from runner import Flow, task


class Frozen(BaseEstimator):
    def __init__(self, estimator):
        self.estimator = estimator

    def __getattr__(self, name):
        return getattr(self.estimator, name)

    def __sklearn_clone__(self):
        return self


FITTED = Frozen(LinearRegression().fit([[0], [1]], [0, 2]))


@task
def used():
    return clone(FITTED) is FITTED, FITTED.coef_.tolist(), float(FITTED.predict([[3]])[0])


with Flow("frozen estimator") as flow:
    used()
