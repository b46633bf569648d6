"""A pickle that one task writes and another one reads: ray #28000."""

import copy
import pickle
import shelve
from dataclasses import dataclass

from runner import Flow, Parameter, task


@dataclass
class Model:
    weights: list


@task
def saved(folder):
    with open(f"{folder}/model.pkl", "wb") as stream:
        pickle.dump(Model([1.5]), stream)
    return folder


@task
def loaded(folder):
    with open(f"{folder}/model.pkl", "rb") as stream:
        model = pickle.load(stream)
    return isinstance(model, Model), model, copy.deepcopy(model) == model


with Flow("pickle in a file") as flow:
    loaded(saved(Parameter("folder")))
