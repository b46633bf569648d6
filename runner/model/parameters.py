"""A flow's parameters: as the manifest lists them, and whether what is given fits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runner.errors import EnvironmentWrong
from runner.naming import is_text, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.model.flow import FlowGraph
    from runner.schema.documents import ParameterRecord


def parameters_of(flow: FlowGraph) -> list[ParameterRecord]:
    """Return the parameters as a manifest lists them; a default that JSON cannot hold is there as ``default_repr``."""
    listed: list[ParameterRecord] = []
    for parameter in flow.parameters:
        entry: ParameterRecord = {"name": parameter.name, "required": parameter.required}
        if not parameter.required:
            if _is_plain(parameter.default):
                entry["default"] = parameter.default
            else:
                entry["default_repr"] = shown(parameter.default, longest=None)
        listed.append(entry)
    return listed


def _is_plain(value: Any) -> bool:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        return is_text(text) and bool(json.loads(text) == value)
    except Exception:  # noqa: BLE001 - no JSON, too deep, of too many digits, or what an author's own == does
        return False


def check_parameters(declared: Sequence[ParameterRecord], given: Mapping[str, Any]) -> None:
    """Refuse parameters that are unknown, or too few. Raises EnvironmentWrong, which names all of them at once."""
    names = [parameter["name"] for parameter in declared]
    unknown = [name for name in given if name not in names]
    missing = [parameter["name"] for parameter in declared if parameter["required"] and parameter["name"] not in given]
    problems = [f"the flow has no parameter {name!r}{_meant(name, names)}" for name in unknown]
    problems += [f"parameter {name!r} is required and not given" for name in missing]
    if problems:
        hint = (
            f"Its parameters are: {', '.join(names) or 'none'}. Give them by -p NAME=VALUE, or in RUNNER_PARAMETERS, "
        )
        raise EnvironmentWrong("; ".join(problems), hint=f"{hint}a JSON object.")


def _meant(name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches  # only here: it costs a start

    return "".join(f" (did you mean {meant!r}?)" for meant in get_close_matches(name, names, 1))
