from threading import Lock

lock = Lock()
total = []


def add(number):
    with lock:
        total.append(number)
