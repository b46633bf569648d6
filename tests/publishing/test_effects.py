"""What a flow's file does to others when it is loaded is done again where the flow runs, once, or told."""

from __future__ import annotations

import importlib
import pickle
import re
import sys
from typing import TYPE_CHECKING

import cloudpickle
import pytest

from runner import Flow, task
from runner.bundle.effects import do_again
from runner.publishing.bindings import bindings_of
from runner.publishing.effects import Effects, effects_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.authors import Author

BUILD = ("-m", "runner", "build", "flow.py", "--storage", "storage")


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Effects]]:
    """Load a file with a state beside it, and give what of it is done again."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "state.py").write_text("LIMIT = 1\nHANDLERS = {}\nclass Base:\n    known = []\n")

    def effects(text: str) -> Effects:
        (tmp_path / "file_of_a_flow.py").write_text(text)
        sys.modules.pop("file_of_a_flow", None)
        importlib.invalidate_caches()
        module = importlib.import_module("file_of_a_flow")
        return effects_of(module, bindings_of(module).names)

    yield effects
    for name in ("state", "file_of_a_flow"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "line",
    [
        "state.LIMIT = 10",
        "state.LIMIT += 10",
        "state.OTHER: int = 10",
        "state.A, state.B = 1, 2",
        "state.A = state.B = 1",
        "del state.LIMIT",
        "state.HANDLERS['a'] = len",
        "state.HANDLERS.update(a=len)",
        "state.Base.known.append(1)",
        "handlers['a'] = own",
        "handlers['a'] = lambda value: own(value)",
        "logging.getLogger('acme').setLevel(logging.DEBUG)",
        "LOG.setLevel('DEBUG')",
        "LOG.disabled = True",
        "os.environ['ACME'] = 'a' + str(NUMBER)",
        "os.environ.setdefault('ACME', 'a')",
        "os.environ.pop('ACME', None)",
        "environ.update({'ACME': 'a'})",
        "decimal.getcontext().prec = 5",
        "getcontext().prec = 5",
        "sys.path.append('/acme')",
        "json.dumps_before = json.dumps",
        "warnings.filterwarnings('ignore', 'acme')",
        "random.seed(NUMBER)",
        "atexit.register(own)",
        "codecs.register_error('acme', lambda error: ('', error.end))",
        "time.tzset()",
        "__import__('state')",
        "sys.modules['acme'] = sys.modules['state']",
        "os.makedirs('/tmp', exist_ok=True)",
    ],
)
def test_done_again(read: Callable[[str], Effects], line: str) -> None:
    found = read(
        "import atexit, codecs, decimal, json, logging, os, random, sys, time, warnings\n"
        "from decimal import getcontext\nfrom os import environ\nimport state\nfrom state import HANDLERS as handlers\n"
        f"LOG = logging.getLogger('acme')\nNUMBER = 3\ndef own(value=1): return value\n{line}\n"
    )
    assert list(found.functions)[-1] == "line 9"
    assert found.notes == []


@pytest.mark.parametrize(
    "line",
    [
        "NAME = os.environ.get('ACME')",
        "NUMBERS.append(4)",
        "NUMBERS[0] = 1",
        "own.cache = {}",
        "own()",
        "asyncio.run(work())",
        "pprint(own())",
        "state.HANDLERS.update(a=own())",
        "state.HANDLERS.update(a=Own())",
        "state.HANDLERS.update(a=flow)",
        "state.HANDLERS.update(a=a_task)",
        "flow.name = 'b'",
        "runner.Flow.other = 1",
        "runner.Parameter('a')",
        "flow.run()",
        "flow.storage.bound_to(flow)",
        "print('a')",
        "pp({})",
        "sys.stdout.write('a')",
        "time.sleep(0)",
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)",
        "signal.siginterrupt(signal.SIGUSR1, False)",
        "subprocess.run(['true'])",
        "os.system('true')",
        "shutil.rmtree('/none', ignore_errors=True)",
        "Path('/tmp/acme').write_text('a')",
        "LOG.info('a')",
        "logging.warning('a')",
        "logging.basicConfig(level='DEBUG')",
        "logging.config.dictConfig({'version': 1, 'incremental': True})",
        "LOG.addHandler(logging.NullHandler())",
        "LOG.propagate = False",
        "sys.modules['state'].__path__ = []",
        "sys.excepthook = sys.__excepthook__",
        "warnings.warn('a')",
        "doctest.testmod()",
        "if sys.platform == 'acme': state.LIMIT = 10",
        "with runner.Flow('b'): state.Base.known.append(1)",
        "if __name__ != '__main__': state.LIMIT = 10",
        "for each in [1]: print(each)",
        "try:\n    import state as other\nexcept ImportError: state.LIMIT = 10",
        "def later(): state.LIMIT = 10",
        "'a text'",
        "setattr(state, 'LIMIT', 10)",
    ],
)
def test_not_done_again(read: Callable[[str], Effects], line: str) -> None:
    found = read(
        "import asyncio, doctest, logging, logging.config, os, shutil, signal, subprocess, sys, time, warnings\n"
        "from pathlib import Path\nfrom pprint import pprint, pprint as pp\nimport runner, state\n"
        "LOG = logging.getLogger('acme')\nNUMBERS = [3]\ndef own(): return 1\nclass Own: pass\n"
        "async def work(): return 1\n@runner.task\ndef a_task(): return 1\n"
        f"with runner.Flow('a') as flow: a_task()\n{line}\n"
    )
    assert found == ({}, [])


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("def own(): return 1\nstate.LIMIT = own()", "line 3 is not done where the flow runs: it calls own"),
        ("class Own: pass\nstate.LIMIT = [Own()]", "line 3 is not done where the flow runs: it calls Own"),
        ("A = 1\nstate.LIMIT = A\nA = 2", "line 3 is not done where the flow runs: A is another value later"),
        ("A = 1\nstate.LIMIT = A\ndel A", "line 3 is not done where the flow runs: A is another value later"),
        ("if state: state.LIMIT = 10", "line 2 is not done where the flow runs: it stands in if; put it before"),
        ("for each in [1]: state.LIMIT = each", "line 2 is not done where the flow runs: it stands in for"),
        ("with open(__file__):\n    state.LIMIT = 10", "line 3 is not done where the flow runs: it stands in with"),
        ("state.LIMIT = (a := 1)", "line 2 is not done where the flow runs: it does more than that"),
    ],
)
def test_what_is_set_and_cannot_be_set_again_is_told(read: Callable[[str], Effects], lines: str, reason: str) -> None:
    found = read(f"import state\n{lines}\n")
    assert found.functions == {}
    [note] = found.notes
    assert note.startswith(f"note: file_of_a_flow.py, {reason}")


def test_what_comes_after_the_line_that_builds_was_not_done_yet(read: Callable[[str], Effects]) -> None:
    found = read(
        "import state, sys\nstate.LIMIT = 2\n"
        "from runner.publishing.effects import effects_of\n"
        "FOUND = effects_of(sys.modules[__name__], {})\nstate.LIMIT = 3\n"
    )
    assert list(found.functions) == ["line 2", "line 5"]
    assert list(sys.modules["file_of_a_flow"].FOUND.functions) == ["line 2"]


def test_two_in_one_line_are_two(read: Callable[[str], Effects]) -> None:
    assert list(read("import state\nstate.A = 1; state.B = 2\n").functions) == ["line 2", "line 2, column 13"]


def test_what_has_no_source_has_no_effects() -> None:
    assert effects_of(None, {}) == effects_of(sys, {}) == ({}, [])


def test_imports_that_nothing_reads_are_made_again(read: Callable[[str], Effects], tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text("import state\nstate.HANDLERS['plugin'] = len\n")
    (tmp_path / "used.py").write_text("ONE = 1\n")
    found = read("import json\nimport plugin\nimport used\nfrom used import *\nfrom runner import task\nA = used.ONE\n")
    assert list(found.functions) == ["line 2"]
    sys.modules.pop("plugin")


def test_the_order_is_kept_and_each_is_done_once(author: Author) -> None:
    author.write({"state.py": "SEEN = []\nKNOWN = {}\nCOUNT = 0\n"})
    lines = "import state\nfrom state import KNOWN\nstate.SEEN.append(1)\nstate.COUNT += 1\nKNOWN['a'] = 1\n"
    lines += "state.SEEN.append(state.COUNT + 1)\ndel KNOWN['a']\nKNOWN['b'] = len\nKNOWN.update(c=3)"
    author.write({"flow.py": author.flow(lines, "return state.SEEN, state.COUNT, sorted(KNOWN)")})
    here = author.at_home()
    url = author.publish()
    for executor in ("threads", "sequential"):
        ran = author.run(url, RUNNER_EXECUTOR=executor, RUNNER_RUN_ID=executor)
        assert ran.code == 0, ran
        [result] = author.root.glob(f"etl/runs/{executor}/attempts/0001/results/answer.pkl")
        assert str(pickle.loads(result.read_bytes())) == here == "([1, 2], 1, ['b', 'c'])"


def test_only_the_process_of_the_flow_does_it(author: Author) -> None:
    lines = (
        f"import os\nopen_ = open\nos.register_at_fork(before=len)\nfrom mark import mark\nmark({str(author.root)!r})"
    )
    author.write({"mark.py": "import os\ndef mark(root):\n    os.makedirs(f'{root}/marks/{os.getpid()}')\n"})
    author.write({"flow.py": author.flow(lines, "import os", "return os.getpid()")})
    url = author.publish()
    before = {path.name for path in (author.root / "marks").iterdir()}
    number = author.answer(url)
    assert {path.name for path in (author.root / "marks").iterdir()} - before == {str(number)}


def test_a_script_and_a_package_do_the_same(author: Author) -> None:
    author.write({"acme/__init__.py": "", "acme/state.py": "LIMIT = 1\nKNOWN = {}\ndef limit():\n    return LIMIT\n"})
    lines = "from . import state\nfrom .state import *\nimport acme.state\nstate.LIMIT = 2\nKNOWN['a'] = len\n"
    lines += "acme.state.MORE = 3"
    text = author.flow(lines, "return state.limit(), KNOWN['a']('xy'), acme.state.MORE, state.KNOWN is KNOWN")
    author.write({"acme/flow.py": text})
    assert author.answer(author.publish("-m", "acme.flow")) == (2, 2, 3, True)
    author.write({"built.py": "import acme.flow\nprint(acme.flow.flow.storage.build())\n"})
    url = author.publish("built.py")
    ran = author.run(url, RUNNER_RUN_ID="again")
    assert ran.code == 0, ran


def test_what_is_not_there_is_a_warning_and_told_at_build(author: Author) -> None:
    author.write({"here.txt": "5", "state.py": "LIMIT = 1\n"})
    lines = "import os, sys\nimport state\nfrom pathlib import Path\nstate.LIMIT = int(Path('here.txt').read_text())\n"
    lines += "os.environ['ACME'] = 'on'"
    author.write({"flow.py": author.flow(lines, "import os", "return state.LIMIT, os.environ['ACME']")})
    built = author.python(*BUILD)
    assert built.returncode == 0, built
    told = "flow.py, line 7 could not be done again where the flow runs: FileNotFoundError: [Errno 2]"
    assert told in built.stderr
    assert "do it in the task that needs it" in built.stderr
    ran = author.run(built.stdout.strip())
    assert ran.code == 0, ran
    assert told in str(ran)


def test_an_exit_there_is_a_warning_too(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise ValueError

    def leave() -> None:
        sys.exit(3)

    def odd() -> None:
        raise Odd

    done = []
    with Flow("exits") as flow:
        pass
    flow.effects = {"line 1": leave, "line 2": odd, "line 3": lambda: done.append(1)}
    do_again(flow)
    assert done == [1]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "SystemExit: 3" in caplog.text
    assert "effects" not in vars(flow)
    do_again(flow)
    assert done == [1]


def test_no_secret_is_shown(author: Author) -> None:
    lines = "import json, os, state\nstate.check(os.environ.get('THE_TOKEN'))"
    author.write({"state.py": "def check(token):\n    if token: raise ValueError(token)\n"})
    author.write({"flow.py": author.flow(lines, "return 1")})
    url = author.publish()
    ran = author.run(url, THE_TOKEN="tr0ub4dor-and-3", RUNNER_SECRETS="THE_TOKEN")
    assert ran.code == 0, ran
    assert "could not be done again" in str(ran)
    assert "tr0ub4dor" not in str(ran)


def test_a_secret_in_a_line_is_refused(author: Author) -> None:
    lines = "import os\nos.environ['A_TOKEN'] = 'ghp_" + "Zx81Qw27Er63Ty95Ui04Op18As52Df36Gh70" + "'"
    author.write({"flow.py": author.flow(lines, "return 1")})
    built = author.python(*BUILD)
    assert built.returncode == 1, built
    assert "flow.py, line 5" in built.stderr


def test_what_cannot_travel_is_refused_and_the_advice_works(author: Author) -> None:
    lines = "import atexit\nimport sqlite3\nDATABASE = sqlite3.connect(':memory:')\natexit.register(DATABASE.close)"
    author.write({"flow.py": author.flow(lines, "return 1")})
    built = author.python(*BUILD)
    assert built.returncode == 1, built
    assert "flow.py, line 6: the flow cannot be pickled: flow.effects['line 7']" in built.stderr
    assert "in a module of its own" in built.stderr
    author.write({"database.py": lines})
    author.write({"flow.py": author.flow("import database", "return database.DATABASE is not None")})
    assert author.answer(author.publish()) is True


def test_lists_of_the_file_are_not_shuffled_twice(author: Author) -> None:
    lines = "import random\nNUMBERS = list(range(9))\nrandom.seed(1)\nrandom.shuffle(NUMBERS)\nKNOWN = {1}\n"
    lines += "import state\nstate.take(KNOWN)\nstate.NUMBERS = NUMBERS"
    author.write({"state.py": "NUMBERS = []\ndef take(known):\n    known.add(len(known) + 1)\n"})
    author.write({"flow.py": author.flow(lines, "return NUMBERS, KNOWN, random.random(), state.NUMBERS is NUMBERS")})
    here = author.at_home()
    assert str(author.answer(author.publish())) == here


def test_lines_are_written_as_before_whatever_a_module_configures(author: Author) -> None:
    text = "import logging.config\ndef configure():\n"
    text += "    logging.config.dictConfig({'version': 1, 'root': {'handlers': []}})\n"
    lines = "import logging, setup_of_lines\nsetup_of_lines.configure()"
    author.write({"setup_of_lines.py": text + "    logging.basicConfig(force=True, level='DEBUG')\n"})
    author.write({"flow.py": author.flow(lines, "logging.getLogger('acme').debug('said')", "return 1")})
    ran = author.run(author.publish(), RUNNER_LOG_FORMAT="json")
    assert ran.code == 0, ran
    assert re.search(r'"message": "said"', str(ran).replace("\\", ""))
    assert "DEBUG:acme:said" not in str(ran)


def test_a_flow_without_effects_is_pickled_as_before(author: Author) -> None:
    author.write({"flow.py": author.flow("import json", "return json.dumps(1)")})
    assert b"<effect>" not in bytes(author.bundle(author.publish()).members["flow.pkl"])


def test_cloudpickle_alone_reads_a_flow_with_effects(read: Callable[[str], Effects]) -> None:
    with Flow("plain") as flow:
        task(len, name="length")("abc")
    flow.effects = read("import state\nstate.LIMIT = 10\n").functions
    loaded = cloudpickle.loads(cloudpickle.dumps(flow))
    assert list(loaded.effects) == ["line 2"]


HANDLERS = """
_KNOWN = {}
def register(name):
    def keep(function):
        _KNOWN[name] = function
        return function
    return keep
known_as = register
def handle(name, value):
    return _KNOWN[name](value)
"""


@pytest.mark.parametrize(
    "defined",
    [
        "@known_as('upper')\ndef upper(text):\n    return text.upper()",
        "@task\n@register('upper')\ndef upper(text):\n    return text.upper()",
        "class upper(str):\n    pass\nregister('upper')(upper)\nfor each in [1]: handlers.A = upper",
    ],
)
def test_what_a_decorator_keeps_elsewhere_is_refused(author: Author, defined: str) -> None:
    author.write({"handlers.py": HANDLERS})
    lines = f"import handlers\nfrom handlers import known_as, register\n{defined}"
    author.write({"flow.py": author.flow(lines, "return handlers.handle('upper', 'a')")})
    built = author.python(*BUILD)
    if "class" in defined:
        assert "upper is kept in handlers.A, which does not have it where the flow runs" in built.stderr
    else:
        assert "flow.py, line 6: upper is kept in handlers._KNOWN, which does not have it" in built.stderr
    assert built.returncode == 1
    assert not (author.folder / "project" / "storage").exists()


def test_what_a_decorator_registers_is_registered_again(author: Author) -> None:
    author.write({"handlers.py": HANDLERS})
    lines = "import functools, handlers\nfrom handlers import register\n@register('upper')\n@register('other')\n"
    lines += "def upper(text):\n    return text.upper()\n@handlers.register('own')\nclass Own(str): pass"
    body = (
        "known = handlers._KNOWN",
        "return list(known), known['upper'] is known['other'] is upper, known['own'] is Own",
    )
    author.write({"flow.py": author.flow(lines, *body)})
    assert author.answer(author.publish()) == (["other", "upper", "own"], True, True)


@pytest.mark.parametrize(
    "defined",
    [
        "@register('a')\n@functools.cache\ndef upper(text): return text",
        "@register('a')\n@wrapped\ndef upper(text): return text",
        "@wrapped\n@register('a')\ndef upper(text): return text",
        "@register('a')\ndef upper(text): return text\n@register('b')\ndef upper(text): return text * 2",
    ],
)
def test_what_is_not_what_was_registered_is_not_registered_again(
    read: Callable[[str], Effects], tmp_path: Path, defined: str
) -> None:
    text = "def wrapped(function):\n    def inner(value): return function(value)\n    return inner\n"
    (tmp_path / "handlers.py").write_text(HANDLERS + text)
    found = read(f"import functools\nfrom handlers import register, wrapped\n{defined}\n")
    assert list(found.functions) == (["line 5"] if "'b'" in defined else [])
    sys.modules.pop("handlers")


def test_the_advice_for_decorators_works(author: Author) -> None:
    author.write({"handlers.py": HANDLERS})
    author.write(
        {"mine.py": "from handlers import register\n@register('upper')\ndef upper(a):\n    return a.upper()\n"}
    )
    author.write({"flow.py": author.flow("import handlers", "import mine", "return handlers.handle('upper', 'a')")})
    assert author.answer(author.publish()) == "A"


def test_what_an_effect_or_an_import_puts_there_is_not_refused(author: Author) -> None:
    author.write({"handlers.py": f"{HANDLERS}HERE = []\ndef show():\n    from flow import upper\n    return upper\n"})
    lines = "import handlers\ndef upper(text):\n    return text.upper()\nhandlers.register('upper')(upper)\n"
    lines += "handlers.HERE.append(upper)"
    author.write({"flow.py": author.flow(lines, "return handlers.handle('upper', 'a'), handlers.HERE[0]('b')")})
    assert author.answer(author.publish("-c", "import flow; print(flow.flow.storage.build())")) == ("A", "B")
