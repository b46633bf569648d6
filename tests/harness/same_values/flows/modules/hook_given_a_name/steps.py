KNOWN = {}


class Step:
    def __init_subclass__(cls, /, name=None, **more):
        super().__init_subclass__(**more)
        KNOWN[name or cls.__name__] = cls
