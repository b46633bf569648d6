import sys
from pathlib import Path

WORDS = Path(sys.path[0], "words.txt").read_text().split()  # refused
