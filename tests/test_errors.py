"""Errors by their exit code and their name, as another process gives them."""

from __future__ import annotations

import pytest

from runner import errors


@pytest.mark.parametrize(
    ("code", "kind"), [(1, errors.FlowFailed), (66, errors.NotFound), (77, errors.CredentialsRefused)]
)
def test_an_exit_code_stands_for_the_class_that_others_refine(code: int, kind: type[errors.RunnerError]) -> None:
    assert errors.from_code(code) is kind


def test_an_exit_code_that_no_error_has_stands_for_no_class() -> None:
    assert errors.from_code(0) is None
    assert errors.from_code(137) is None


def test_every_class_is_found_by_its_name() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RunnerError)]
    assert [errors.from_name(kind.__name__) for kind in kinds] == kinds
    with pytest.raises(KeyError):
        errors.from_name("TaskError")
