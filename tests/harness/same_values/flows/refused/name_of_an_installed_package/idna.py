def encode(text):
    return f"the author's {text}"
