"""What a flow's file does at its top that is not done again where the flow runs, as nobody would expect that there.

It ends or stops the program, speaks, runs something as a whole, reaches out of the process, or takes what is the
container's: its signals, its streams, how log lines are written, where packages are looked for.
"""

from __future__ import annotations

import ast

_SPEAKING = {"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log", "warn_explicit"}
_SPEAKING |= {"print", "pprint", "pp", "echo", "secho", "write", "writelines", "display", "print_exc", "print_stack"}
_ENDING = {"exit", "_exit", "abort", "quit", "sleep", "pause", "kill", "terminate", "raise_signal"}
_RUNNING = {"build", "run", "main", "cli", "serve", "run_forever", "run_until_complete", "serve_forever", "show"}
_ASKING = {"input", "getpass", "prompt", "confirm", "breakpoint", "set_trace", "post_mortem"}
_REACHING = {"unlink", "rmdir", "rmtree", "post", "put", "patch", "delete", "commit", "execute", "executemany"}
_REACHING_TOO = ("to_", "write_", "save", "dump", "send", "upload", "publish", "print_", "delete_")
_ABOUT_LINES = {"addHandler", "removeHandler", "basicConfig", "propagate", "handlers"}
_WHOLLY = {"signal", "subprocess", "shutil", "pdb", "faulthandler", "unittest", "doctest", "pytest", "webbrowser"}
_WHOLLY |= {"requests", "httpx", "smtplib", "ftplib", "cProfile", "profile", "timeit", "runpy", "runner"}
_CONTAINERS = {
    "sys": {"stdin", "stdout", "stderr", "excepthook", "displayhook", "settrace", "setprofile"},
    "threading": {"excepthook"},
    "logging": {"config", "shutdown", "lastResort", "raiseExceptions"},
}
_CALLED_ONLY = {  # of modules that mostly reach out
    "os": {"environ", "environb", "putenv", "unsetenv", "umask", "chdir", "mkdir", "makedirs", "register_at_fork"},
    "time": {"tzset"},
    "socket": {"setdefaulttimeout"},
    "threading": {"stack_size"},
    "multiprocessing": {"set_start_method", "set_executable"},
}


def is_left(place: ast.expr, path: list[str]) -> bool:
    """Return whether a place is not to be set again, or called.

    Args:
        place: what is set, or a call.
        path: the names by which it is reached, from a module's on: ``["os", "environ", "update"]``.
    """
    first, second, last = path[0], path[1] if len(path) > 1 else "", path[-1]
    if (
        first in _WHOLLY
        or last == "__path__"
        or second in _CONTAINERS.get(first, ())
        or (first == "logging" and last in _ABOUT_LINES)
    ):
        return True
    if not isinstance(place, ast.Call):
        return False
    if first in _CALLED_ONLY and second not in _CALLED_ONLY[first]:
        return True
    return last in _SPEAKING | _ENDING | _RUNNING | _ASKING | _REACHING or last.startswith(_REACHING_TOO)


def asks(call: ast.Call) -> bool:
    """Return whether a call asks a person something, or stops there."""
    name = call.func
    return getattr(name, "attr", getattr(name, "id", "")) in _ASKING | {"exit", "quit", "_exit"}
