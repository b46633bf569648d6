"""Instances that are hashed by code of their class are in closures, defaults and attributes: cpython #124937."""

from runner import Flow, task


class Key:
    def __hash__(self):
        return hash(SALT)


SALT, KEY = "salt", Key()


def priced(table):
    return lambda key=KEY, *, keys=frozenset({KEY}): (table[key], key in keys, key is KEY)


price = priced({KEY: 3})
price.table = {KEY: price}


@task
def told(keys):
    return price(), price.table[KEY] is price, KEY in keys


with Flow("keys in closures and defaults") as flow:
    told({KEY})
