"""Texts of all kinds: surrogates, normal forms, interned ones and templates: joblib #166."""

import sys
import unicodedata
from string import Template

from runner import Flow, task

ODD = ["\ud800", "e\u0301", "\x00", "ﬀ", "a" * 70_000]
TEMPLATE = Template("$who has ${what}")


@task
def made():
    return ODD


@task
def checked(given):
    forms = unicodedata.normalize("NFC", given[1]), "ß".casefold(), sys.intern("a b") is sys.intern("a b")
    return forms, TEMPLATE.substitute(who="x", what=1), given[0].encode("utf-8", "surrogatepass"), len(given[4])


with Flow("texts") as flow:
    checked(made())
