"""What holds in the image for Google Cloud, and in those built on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.containers import ETL, run_etl
from support.flows import located, publish

if TYPE_CHECKING:
    from support.places import Place


@pytest.mark.parametrize("backend", ["gcs"])
def test_google_cloud_storage_is_reached(image: str, place: Place) -> None:
    publish(place, "etl.py")
    run_etl(image, place, located(place, ETL))
