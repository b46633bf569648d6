"""A flow that tells every secret it has, in every way that programs have."""

import base64
import ctypes
import faulthandler
import json
import logging
import os
import pprint
import signal
import subprocess
import sys
import threading
import traceback
import urllib.parse
import warnings
from collections.abc import Callable

import runner
from runner import Flow, Parameter, task

PUBLIC = {"type", "project_id", "client_email", "client_id", "token_uri", "universe_domain"}


def _leaves(value: object) -> list[str]:
    if isinstance(value, dict):
        return [leaf for name, part in value.items() if name not in PUBLIC for leaf in _leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value] if isinstance(value, str) else []


def everything() -> dict[str, str]:
    """Every secret by its name, and every part of one."""
    texts = {}
    for name in os.environ["CANARIES"].split(","):
        value = os.environ[name] if name in os.environ else runner.secret(name)
        texts[name] = value if isinstance(value, str) else json.dumps(value)
        if texts[name].startswith(("{", "[")):
            texts |= {f"{name}.{number}": leaf for number, leaf in enumerate(_leaves(json.loads(texts[name])))}
        for part in texts[name].split(";"):
            if part.startswith("AccountKey="):
                texts[f"{name}.key"] = part.removeprefix("AccountKey=")
    return texts


def _raw(text: str) -> bytes:
    return os.fsencode(text)


def _out(text: object) -> None:
    os.write(1, _raw(f"{text}\n"))


def print_it(text: str) -> None:
    print("it is", text.encode(errors="backslashreplace").decode(), flush=True)
    print(text.encode(errors="backslashreplace").decode(), file=sys.stderr, flush=True)
    _out(text)


def log_it(text: str) -> None:
    runner.logger().warning("it is %s", text, extra={"deep": {"list": [text], text: 1}})
    logging.getLogger("elsewhere").error(text)


def log_an_exception(text: str) -> None:
    try:
        _ = dict[str, int]()[text]
    except LookupError:
        logging.getLogger("elsewhere").exception("it broke")
        traceback.print_exc()


def show_a_group(text: str) -> None:
    group = ExceptionGroup(text, [ValueError(text), KeyError(text)])
    print("".join(traceback.format_exception(group)).encode(errors="backslashreplace").decode(), flush=True)


def show_reprs(text: str) -> None:
    for shown in (repr(text), repr({"a": f'it\'s "{text}"'}), ascii([text]), repr(_raw(text)), f"{text!r:.4000}"):
        _out(shown)
    print(pprint.pformat({"deep": [text]}, width=8000), flush=True)


def show_json(text: str) -> None:
    for is_ascii in (True, False):
        inner = json.dumps({"a": [text]}, ensure_ascii=is_ascii)
        for shown in (inner, json.dumps([inner]), json.dumps({"a": text}, indent=2, ensure_ascii=is_ascii)):
            _out(shown)


def show_base64(text: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in ("", "u", "us", "user:"):
            _out(encode(_raw(before + text)).decode())
        _out(encode(_raw(text)).decode().rstrip("="))
        _out(encode(_raw(text) + b" and more of it").decode())
    _out(base64.encodebytes(_raw(text)).decode())
    _out(repr(base64.encodebytes(_raw(text)).decode()))
    _out(base64.b64encode(json.dumps({"a": text}).encode()).decode())


def show_urls(text: str) -> None:
    for safe in ("", "/", "!'()*"):
        _out(f"http://user:{urllib.parse.quote(_raw(text), safe=safe)}@127.0.0.1/")
    _out(f"http://127.0.0.1/?{urllib.parse.urlencode({'a': _raw(text)})}&b=1")


def split_it(text: str) -> None:
    raw = _raw(text)
    for cut in (1, len(raw) // 2, len(raw) - 1):
        os.write(1, b"it is " + raw[:cut])
        os.write(1, raw[cut:] + b"\n")
    for start in range(0, len(raw), 7):
        os.write(2, raw[start : start + 7])
    os.write(2, b"\n")


def start_another(text: str) -> None:
    subprocess.run(["echo", _raw(text)], check=True)
    subprocess.run(["sh", "-c", 'printf "%s\\n" "$0" >&2', _raw(text)], check=True)
    subprocess.run([sys.executable, "-c", "import sys; raise SystemExit(sys.argv[1])", _raw(text)], check=False)


def write_in_c(text: str) -> None:
    raw = _raw(text) + b"\n"
    libc = ctypes.CDLL(None)
    libc.write(1, raw, len(raw))
    libc.puts(raw)
    libc.fflush(None)


def warn(text: str) -> None:
    warnings.warn(text.encode(errors="backslashreplace").decode(), stacklevel=1)


def fail_in_a_thread(text: str) -> None:
    def fail() -> None:
        raise RuntimeError(text)

    thread = threading.Thread(target=fail, name=text)
    thread.start()
    thread.join()


def fail_unseen(text: str) -> None:
    class Fails:
        def __del__(self) -> None:
            raise RuntimeError(text)

    Fails()


def dump_the_environment(_text: str) -> None:
    subprocess.run(["env"], check=True)
    _out(dict(os.environ))
    _out(repr(os.environ))


ASIDE: list[Callable[[str], None]] = [
    print_it, log_it, log_an_exception, show_a_group, show_reprs, show_json, show_base64, show_urls, split_it,
    write_in_c, warn, fail_in_a_thread, fail_unseen,
]  # fmt: skip
SLOWLY: list[Callable[[str], None]] = [start_another]  # a process each


def _raise(text: str) -> None:
    raise ValueError(text)


def _raise_from(text: str) -> None:
    try:
        _ = dict[str, int]()[text]
    except KeyError as error:
        raise ExceptionGroup(text, [RuntimeError(text)]) from error


def _leave(text: str) -> None:
    sys.exit(text)


def _leave_at_once(text: str) -> None:
    os.write(1, _raw(text))
    os._exit(3)


def _crash(text: str) -> None:
    os.write(2, _raw(text) + b"\n")
    threading.current_thread().name = text
    faulthandler.dump_traceback(all_threads=True)
    ctypes.string_at(0)


def _be_killed(text: str) -> None:
    raw = _raw(text)
    os.write(1, raw + b"\n" + raw[: len(raw) - 2])
    os.kill(os.getpid(), signal.SIGKILL)


WAYS_TO_END: dict[str, Callable[[str], None]] = {
    "raise": _raise,
    "raise from": _raise_from,
    "leave": _leave,
    "leave at once": _leave_at_once,
    "crash": _crash,
    "be killed": _be_killed,
}


@task
def tell(way: str) -> None:
    texts = everything()
    if way == "aside":
        for do in ASIDE:
            for text in texts.values():
                do(text)
        for do in SLOWLY:
            for name in os.environ["CANARIES"].split(","):
                do(texts[name])
        dump_the_environment("")
    else:
        WAYS_TO_END[way]("\n".join(texts.values()))


with Flow("leaky") as flow:
    tell(Parameter("way"))
