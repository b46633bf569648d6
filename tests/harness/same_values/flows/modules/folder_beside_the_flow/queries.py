import os

TWO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "two.txt")


def two():
    with open(TWO) as file:
        return file.read()
