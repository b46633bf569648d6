import os

BUCKET = os.environ["THE_BUCKET"]  # refused
