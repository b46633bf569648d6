_KNOWN = {}


def register(name):
    def keep(function):
        _KNOWN[name] = function
        return function

    return keep


def handle(name, value):
    return _KNOWN[name](value)
