__all__ = ["Square", "area"]
PI = 3


class Square:
    def __init__(self, side):
        self.side = side


def area(square):
    return square.side**2


def _hidden():
    pass
