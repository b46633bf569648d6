from pathlib import Path


def area(width: int, height: int) -> int:
    return width * height


def words() -> list[str]:
    return (Path(__file__).parent / "data" / "words.txt").read_text().split()
