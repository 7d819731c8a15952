"""YAML 1.2's core schema: which plain words are numbers, booleans and null.

PyYAML follows YAML 1.1, where `1e-3` is text, `on` is true and `1:30` is ninety.
Source: YAML 1.2.2, §10.3.2.
"""

import re

Scalar = None | bool | int | float | str

NULL = frozenset(("", "~", "null", "Null", "NULL"))
BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
DECIMAL = re.compile(r"[-+]?[0-9]+")
BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

# Python refuses to read longer ones, and no recipe needs them.
MOST_DIGITS = 4000


def core_value(word: str) -> Scalar:
    """What a plain (unquoted) word means; text when it is nothing else."""
    if word in NULL:
        return None
    if word in BOOLEANS:
        return BOOLEANS[word]
    if len(word) > MOST_DIGITS:
        return word
    if DECIMAL.fullmatch(word):
        return int(word)
    if BASED.fullmatch(word):
        return int(word, 0)
    if FLOAT.fullmatch(word):
        return float(word)
    if INFINITE.fullmatch(word):
        return float(word.replace(".", ""))
    return word
