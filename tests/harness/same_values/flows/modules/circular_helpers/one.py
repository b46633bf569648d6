import two


def down(number):
    return [number, *two.down(number - 1)] if number else []
