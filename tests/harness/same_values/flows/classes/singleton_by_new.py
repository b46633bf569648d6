"""A class that makes one object, and keeps it in an attribute: pyro-ppl/numpyro #1507."""

from runner import Flow, task


class Config:
    _instance = None

    def __new__(cls):
        if cls._instance is None:
            cls._instance = super().__new__(cls)
            cls._instance.made = [1]
        return cls._instance


CONFIG = Config()
CONFIG.mode = "fast"


@task
def asked(given):
    return Config() is CONFIG, given is CONFIG, Config().mode, Config().made


with Flow("singleton by new") as flow:
    asked(CONFIG)
