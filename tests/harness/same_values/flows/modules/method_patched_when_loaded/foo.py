class Foo:
    def __init__(self):
        self.name = "unchanged"
