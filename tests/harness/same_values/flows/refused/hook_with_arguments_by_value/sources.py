SOURCES = {}


class Source:
    def __init_subclass__(cls, kind):
        SOURCES[kind] = cls
