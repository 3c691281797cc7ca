"""Text from elsewhere as it is shown: what would steer a terminal, or is no character, stands there as an escape."""

import re

LONGEST = 500
"""Characters of an error's text that are shown at most."""

_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls but for tab and line feed, marks that turn the direction of writing, line separators, lone surrogates."""


def shown(text: str) -> str:
    r"""Text that only shows: ESC is `\x1b`, and a byte of a file name that is not valid UTF-8 is `\xe9`."""
    return _HIDDEN.sub(_escape, text)


def is_hiding(value: object) -> bool:
    """Whether `shown` would change a value."""
    return isinstance(value, str) and _HIDDEN.search(value) is not None


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that it cannot decode
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def said(error: BaseException) -> str:
    """What an error says, in one line, whatever its class makes of that; its name when it says nothing."""
    try:
        text = " ".join(str(getattr(error, "strerror", None) or error).split())
    except BaseException as worse:  # whatever a stranger's `__str__` raises
        text = f"{type(error).__name__}, whose text raises {type(worse).__name__}"
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}..."
    return text or ("memory ran out" if isinstance(error, MemoryError) else type(error).__name__)
