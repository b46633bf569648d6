_OPTIONS = {"memory": 1024, "columns": {"width": 10}}


def set_option(name, value):
    _OPTIONS[name] = value


def get_option(name):
    return _OPTIONS[name]
