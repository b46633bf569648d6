def mix(one, other):
    return f"{one} and {other}"
