"""A model is a task's result, and another task's argument: gabarit #63."""

from functools import partial

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from runner import Flow, task

WORDS = CountVectorizer(tokenizer=partial(str.split, sep="-"), token_pattern=None)
STEPS = [("words", ColumnTransformer([("text", WORDS, 0)])), ("tree", DecisionTreeClassifier(random_state=0))]


@task
def fit():
    return Pipeline(STEPS).fit(np.array([["a-b"], ["c"]]), [0, 1])


@task
def predict(model):
    return model.predict(np.array([["c-c"]])).tolist(), model["words"].get_feature_names_out().tolist()


with Flow("fitted in a task") as flow:
    predict(fit())
