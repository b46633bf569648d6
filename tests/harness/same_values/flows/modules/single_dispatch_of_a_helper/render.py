from functools import singledispatch


@singledispatch
def render(value):
    return f"<{value}>"
