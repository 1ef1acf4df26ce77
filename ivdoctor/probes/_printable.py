"""Texts from outside as a report can carry them."""


def printable(text: str) -> str:
    r"""The same text with everything that is no printable character as `\n`, `\x1b` or `\udcff`: a report must stay writable, and one line stay one line."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
