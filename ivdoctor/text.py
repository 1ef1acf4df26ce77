"""Every sentence a user reads: a template with named fields, looked up by gettext."""

import gettext
import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import LiteralString  # Python 3.11; only the type checker needs it

DOMAIN = "ivdoctor"


@cache
def _catalogue() -> gettext.NullTranslations:
    """The user's language by LANGUAGE, LC_ALL, LC_MESSAGES and LANG; English where there is none."""
    return gettext.translation(DOMAIN, os.path.join(os.path.dirname(__file__), "locale"), fallback=True)


def say(template: "LiteralString", /, **fields: object) -> str:
    """
    A sentence in the user's language.

    Codes, dtype names and code belong in the fields: those never change with the language.
    """
    sentence = _catalogue().gettext(template)
    return sentence.format(**fields) if fields else sentence


def count(one: "LiteralString", other: "LiteralString", /, number: int) -> str:
    """A number of things, in the language's own plural forms; both templates have the field `number`."""
    return _catalogue().ngettext(one, other, number).format(number=number)


def share(part: float, whole: float = 1.0) -> str:
    """A part in per cent; never a `0.0%` nor a `100.0%` that is not so."""
    found = part / whole
    if found < 0.001:  # noqa: PLR2004  # a tenth of a per cent
        return say("less than {share}", share="0.1%")
    return f"{min(found, 0.999) if found < 1 else found:.1%}"


def printable(text: str) -> str:
    r"""The same text with everything that is no printable character as `\n`, `\x1b` or `\udcff`: a report must stay writable, and one line stay one line."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
