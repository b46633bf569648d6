_ROUTES = {}


def route(path):
    def keep(function):
        _ROUTES[path] = function
        return function

    return keep


def get(path):
    return _ROUTES[path]()
