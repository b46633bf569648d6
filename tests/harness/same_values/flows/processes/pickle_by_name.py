"""An instance of a class of the flow's file can be pickled in a task: ray #28000."""

import pickle

from runner import Flow, task


class Row:
    def __init__(self, number):
        self.number = number


@task
def there_and_back():
    row = pickle.loads(pickle.dumps(Row(2)))
    return row.number, type(row) is Row, pickle.loads(pickle.dumps(Row)) is Row


with Flow("pickle by name") as flow:
    there_and_back()
