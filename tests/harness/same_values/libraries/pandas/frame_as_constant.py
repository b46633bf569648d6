"""A frame keeps its categories, zones and attrs: arctic #593, pandas #57267."""

import pandas as pd

from runner import Flow, task

SALES = pd.DataFrame({"shop": ["b", "a", "b"], "sum": [1.5, None, 2.0]})
SALES["shop"] = SALES["shop"].astype(pd.CategoricalDtype(["b", "a", "c"], ordered=True))
SALES["at"] = pd.to_datetime(["2026-01-01", "2026-03-29", None]).tz_localize("Europe/Berlin")
SALES.attrs["source"] = "till"


@task
def by_shop():
    return SALES.groupby("shop", observed=False)["sum"].sum()


@task
def facts():
    return SALES.dtypes.astype(str).to_dict(), SALES.attrs, SALES["at"].dt.tz.key, SALES


with Flow("frame as constant") as flow:
    by_shop()
    facts()
