def down(number):
    import one

    return one.down(number)


def __getattr__(name):
    if name == "one":
        import one

        return one
    raise AttributeError(name)
