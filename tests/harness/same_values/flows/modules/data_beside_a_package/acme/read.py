import importlib.resources
import pkgutil
from pathlib import Path


def by_resources():
    return importlib.resources.files("acme").joinpath("words.txt").read_text()


def by_file():
    return (Path(__file__).parent / "words.txt").read_text()


def by_pkgutil():
    return pkgutil.get_data("acme", "words.txt")
