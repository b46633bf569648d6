CACHE = {}


def known():
    return sorted(CACHE)
