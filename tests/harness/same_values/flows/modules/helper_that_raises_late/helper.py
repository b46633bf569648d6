class ParseError(ValueError):
    pass


def parse(text):
    try:
        return int(text)
    except ValueError as error:
        raise ParseError(f"no number: {text}") from error
