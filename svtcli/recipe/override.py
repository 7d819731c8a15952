"""`section.key=value` on the command line, read like the file it changes."""

from svtcli.recipe.document import Document, Text, read_document
from svtcli.recipe.keys import did_you_mean
from svtcli.recipe.problem import BadRecipe, Place, Problem

ORIGIN = "override"


def apply_override(document: Document, override: str) -> None:
    """Set one key of `document`; from then on it stands in the override's text.

    The value is YAML as in a file: a number, a word, a list such as [4, 2, 2]. Errors:
    BadRecipe, pointing into the override.
    """
    name, equals, value = override.partition("=")
    whole = Place(ORIGIN, 1, 1, override)
    if not equals:
        raise BadRecipe([Problem(whole, "an override is section.key=value")])
    path = tuple(name.strip().split("."))
    if path != ("about",) and (len(path) != 2 or not all(path)):
        hint = did_you_mean(path, document.value) if len(path) == 1 else ""
        what = f"an override sets one key of a section, section.key=value{hint}"
        raise BadRecipe([Problem(whole, what)])
    changed = read_document(Text(ORIGIN, value, prefix=f"{name}="))
    if changed.problems:
        raise BadRecipe(changed.problems)
    target = document.value
    if len(path) == 2:
        # A section that is not one is the file's own problem, found by the schema.
        target = target.setdefault(path[0], {})
        document.keys.setdefault(path[:1], whole)
        document.values.setdefault(path[:1], whole)
    if isinstance(target, dict):
        target[path[-1]] = changed.value
        forget(document, path)
        document.keys[path] = whole
        for inner, place in changed.values.items():
            document.values[*path, *inner] = place


def forget(document: Document, path: tuple[str, ...]) -> None:
    """Drop the places of everything inside `path`."""
    for places in (document.keys, document.values):
        for known in [known for known in places if known[: len(path)] == path]:
            del places[known]
