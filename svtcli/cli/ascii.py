"""Signs that a terminal's encoding does not have: spelled out, never an error."""

import codecs
import io

SPELLED = {
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{MIDDLE DOT}": "-",
    "\N{BULLET}": "*",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{SECTION SIGN}": "section ",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{SUPERSCRIPT TWO}": "^2",
    "\N{SUPERSCRIPT THREE}": "^3",
}
"""Any other becomes a `?`."""
FIRST_BYTE, LAST_BYTE = 0xDC80, 0xDCFF
"""How Python keeps a byte of a file name that is no text; minus 0xDC00."""


def spell_out(*streams: object) -> None:
    """Let `streams` write whatever they are told to."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="svt-spelled")


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    """What to write for a sign, and where to go on.

    A byte of a file name is written as it is, so that a path on stdout still names its
    file.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign, after = error.object[error.start], error.start + 1
    if FIRST_BYTE <= ord(sign) <= LAST_BYTE:
        return bytes([ord(sign) - 0xDC00]), after
    return SPELLED.get(sign, "?"), after


codecs.register_error("svt-spelled", _spell)
