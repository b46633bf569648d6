import sys

VALUE = 1


def value_of(name):
    return sys.modules[name].VALUE
