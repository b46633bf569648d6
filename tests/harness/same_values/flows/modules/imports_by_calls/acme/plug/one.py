from importlib import import_module

VALUE = import_module(".two", __package__).VALUE
