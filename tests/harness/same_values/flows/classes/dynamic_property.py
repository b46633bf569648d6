"""A subclass of property, descriptors and __set_name__: cloudpickle #243."""

from runner import Flow, task


class Loud(property):
    def __get__(self, instance, owner=None):
        return self if instance is None else super().__get__(instance, owner).upper()


class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner):
        return getattr(instance, self.name)

    def __set__(self, instance, value):
        setattr(instance, self.name, abs(value))


class Item:  # refused
    size = Positive()
    name = Loud(lambda self: "item")  # refused


@task
def asked():
    item = Item()
    item.size = -3
    return item.size, item.name, vars(item)


with Flow("dynamic property") as flow:
    asked()
