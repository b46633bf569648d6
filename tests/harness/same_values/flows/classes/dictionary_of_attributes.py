"""A dictionary whose keys are attributes raises KeyError for those that it has not: prefect #1524."""

from runner import Flow, task


class AttrDict(dict):
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


CONFIG = AttrDict(host="h", port=1)


@task
def told():
    return CONFIG.host, CONFIG


with Flow("dictionary of attributes") as flow:
    told()
