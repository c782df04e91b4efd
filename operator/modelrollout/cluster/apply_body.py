r"""The body of a server-side apply: JSON that a YAML reader reads as the same. Pure.

The API server reads it as YAML, of which JSON is not quite a part: a character beyond U+FFFF must not be written as
`\ud83d\ude42`, and DEL must not stand there as it is. All else that JSON escapes, YAML reads alike.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

_ESCAPED = re.compile(r"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|.)")


def apply_body(document: Mapping[str, Any]) -> str:
    r"""The text to send.

    >>> apply_body({"smile": "🙂", "separator": "\u2028"})
    '{"smile":"🙂","separator":"\\u2028"}'
    """
    text = json.dumps(document, separators=(",", ":"))
    if r"\ud" in text:
        text = _ESCAPED.sub(_whole, text)
    return text.replace("\x7f", r"\u007f")


def _whole(found: re.Match[str]) -> str:
    """A pair of halves as the one character; any other escape as it is, a backslash before `ud83d` among them."""
    if found[1] is None:
        return found[0]
    return bytes.fromhex(found[1] + found[2]).decode("utf-16-be")
