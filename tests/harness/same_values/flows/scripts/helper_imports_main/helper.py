import __main__


def limit():
    return __main__.LIMIT
