LIMIT = 1
HANDLERS = {}


def call(name, value):
    return HANDLERS[name](value)
