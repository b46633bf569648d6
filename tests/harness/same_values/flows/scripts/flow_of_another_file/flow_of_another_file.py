"""A program sets what others read, and builds a flow of another file: prefect #5984."""

# run as a script
import os

os.environ["STAGE_OF_A_PIPELINE"] = "production"  # refused

from pipeline import flow  # noqa: E402
