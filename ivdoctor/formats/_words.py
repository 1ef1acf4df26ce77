"""Words that every format for people uses, so that they never disagree."""

from ..finding import Tried
from ..text import say

VERDICTS = {
    "ready": ("READY", "green"),
    "not-ready": ("NOT READY", "red"),
    "undetermined": ("UNDETERMINED", "yellow"),
}
"""The word and its colour."""


def how(tried: Tried) -> str:
    """How much a fix has been proven: verified is said of real runs only."""
    if tried.status == "not-tried":
        return say("not tried: {reason}", reason=tried.reason)
    proof = {
        "real-run": say("verified on {where}", where=tried.where),
        "miniature": say("tried on a miniature, on {where}", where=tried.where),
    }.get(tried.how or "", say("predicted"))
    return proof if tried.status == "passed" else say("{proof}: failed", proof=proof)
