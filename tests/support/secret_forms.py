"""The forms in which programs write a secret, each made by another program or library than the one that is tested."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import shlex
import subprocess
import urllib.parse
import xml.sax.saxutils
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _csv(text: str) -> str:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerow(["a", text])
    return file.getvalue()


def _bash(script: str) -> Callable[[str], str]:
    def written(text: str) -> str:
        done = subprocess.run(
            ["bash", "-c", script, "bash", text], capture_output=True, text=True, check=True, env={"LC_ALL": "C.UTF-8"}
        )
        return done.stdout + done.stderr

    return written


def _go(text: str) -> str:
    escaped = json.dumps(text, ensure_ascii=False)
    return escaped.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps([text], ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"a": text})),
    "JSON three deep": lambda text: json.dumps(json.dumps(json.dumps({"a": text}))),
    "JSON three deep, the inner one in UTF-8": lambda text: json.dumps(
        json.dumps(json.dumps(text, ensure_ascii=False))
    ),
    "JSON of Go": _go,
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "repr": repr,
    "repr of more": lambda text: repr({"a": f'it\'s "{text}"'}),
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "quote": lambda text: f"?a={urllib.parse.quote(text)}&b=1",
    "quote all": lambda text: urllib.parse.quote(text, safe=""),
    "quote twice": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "quote_plus": lambda text: urllib.parse.urlencode({"a": text}),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 without padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "URL-safe base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base85": lambda text: base64.b85encode(text.encode()).decode(),
    "Ascii85": lambda text: base64.a85encode(text.encode()).decode(),
    "Ascii85 of Adobe": lambda text: base64.a85encode(text.encode(), adobe=True).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in capitals": lambda text: text.encode().hex().upper(),
    "HTML": html.escape,
    "HTML without quotes": lambda text: html.escape(text, quote=False),
    "HTML of templates": lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "XML": lambda text: xml.sax.saxutils.escape(text, {'"': "&quot;", "'": "&apos;"}),
    "shell": shlex.quote,
    "what dash and bash trace": lambda text: "'" + text.replace("'", "'\\''") + "'",
    "CSV": _csv,
    "SQL": lambda text: "'" + text.replace("'", "''") + "'",
    "capitals": str.upper,
    "small letters": str.lower,
    "JSON in capitals": lambda text: json.dumps(text.upper()),
}
IN_BASH: dict[str, Callable[[str], str]] = {
    "printf %q": _bash('printf %q "$1"'),
    "set -x": _bash('set -x; : "$1"'),
}
INSIDE: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "URL-safe base64": base64.urlsafe_b64encode,
    "base85": base64.b85encode,
    "Ascii85": base64.a85encode,
    "hexadecimal": lambda data: data.hex().encode(),
}
