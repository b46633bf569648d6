"""The versions of runner, from which the package's metadata is made, and of Python."""

import sys

__version__ = "0.1.0"
PYTHON = sys.version.partition(" ")[0]  # as platform has it, which takes 3 ms of each start to import
