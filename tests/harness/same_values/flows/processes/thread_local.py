"""threading.local and locks that a task makes: attrs #754."""

import threading
from concurrent.futures import ThreadPoolExecutor

from runner import Flow, task


class Counter:
    def __init__(self):
        self.lock = threading.Lock()
        self.local = threading.local()
        self.count = 0

    def increase(self, _):
        with self.lock:
            self.local.seen = getattr(self.local, "seen", 0) + 1
            self.count += 1


@task
def counted():
    counter = Counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(counter.increase, range(50)))
    return counter.count, hasattr(counter.local, "seen")


with Flow("thread local") as flow:
    counted()
