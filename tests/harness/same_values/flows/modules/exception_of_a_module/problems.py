class Refused(Exception):
    def __init__(self, *, code):
        super().__init__(f"refused with {code}")
        self.code = code


def ask():
    raise Refused(code=4)
