SOURCES = {}


class Source:
    kind = None

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        SOURCES[cls.kind] = cls
