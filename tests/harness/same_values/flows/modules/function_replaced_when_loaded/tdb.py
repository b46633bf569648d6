def my_function(*arguments):
    return ["true", *arguments]


def twice():
    return my_function(1), my_function(2)
