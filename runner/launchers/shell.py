"""Words of a shell that are what they were, whatever is in them, also when a terminal shows them."""

from __future__ import annotations

import re
import shlex

from runner.logs import IN_A_BLOCK


def shell_word(text: str) -> str:
    r"""Return a text as one word of a POSIX shell; what a terminal would obey, ``printf`` makes again of its bytes.

    Example:
        >>> from runner.launchers.shell import shell_word
        >>> shell_word("it's"), shell_word("red \x1b")
        ('\'it\'"\'"\'s\'', '\'red \'"$(printf \'\\033\')"\'\'')
    """
    return re.sub(IN_A_BLOCK, _printed, shlex.quote(text))  # each stands within single quotes


def _printed(found: re.Match[str]) -> str:
    octal = "".join(f"\\{byte:03o}" for byte in found[0].encode(errors="surrogateescape"))
    return f"""'"$(printf '{octal}')"'"""
