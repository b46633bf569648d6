import functools
import threading

CALLS = {}
LOCK = threading.Lock()


def counted(function):
    @functools.wraps(function)
    def wrapper(*args):
        with LOCK:
            CALLS[function.__name__] = CALLS.get(function.__name__, 0) + 1
        return function(*args)

    return wrapper


def double(number):
    return 2 * number
