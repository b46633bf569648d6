"""Which modules functions import when they are called."""

from __future__ import annotations

from typing import Any

from runner.publishing.import_statements import imported_in


def test_modules_that_functions_import_are_named_with_what_may_be_submodules() -> None:
    def outer() -> Any:
        import json.decoder

        def inner() -> Any:
            from concurrent import futures

            return futures

        return json, inner

    functions: list[Any] = [outer]
    assert imported_in(functions) == {"json.decoder", "concurrent", "concurrent.futures"}


def test_functions_without_a_file_are_taken_at_their_word() -> None:
    made: dict[str, Any] = {}
    exec(compile("def f():\n    import json\n    from . import x\n", "<made up>", "exec"), made)
    assert imported_in([made["f"]]) == {"json"}
