"""One line of a log as its program wrote it: without terminal sequences, and apart from the labels that loggers and launchers put before it."""

import re

LONGEST = 4096
"""Characters of a line that are looked at, around what was found in it."""

ESCAPES = re.compile(
    r"(?:\x1b|\\u001b|\\x1b|\\033|\^\[)\[[0-?]{0,32}[ -/]{0,4}[@-~]"  # CSI, also as JSON, Python and a terminal's own echo spell it
    r"|\x9b[0-?]{0,32}[@-~]"
    r"|\x1b\][^\x07\x1b\n]{0,512}(?:\x07|\x1b\\)"  # OSC: titles and links
    r"|\x1b[ -/]{0,4}[0-~]"
    r"|\[(?:0|[349][0-7]|[0-9]{1,2}(?:;[0-9]{1,3}){1,4})m"  # a paste that lost its escape character
)
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
WIDE = str.maketrans("（）：，“”‘’！＝　", "():,\"\"''!= ")  # noqa: RUF001  # what a Chinese input method writes
"""Full-width forms that stand inside quoted messages."""

LABELS = (
    re.compile(r"(?:> ?){1,8}"),  # quoted in a mail or an issue
    re.compile(r"E {3,}(?=\S)"),  # pytest
    re.compile(r"\((?P<who>[A-Za-z][\w:.-]{0,60}(?: pid=\d{1,9})?(?:, ip=[\d.]{7,15})?)\) ?"),  # Ray, vLLM: (Worker_TP0 pid=17)
    re.compile(
        r"\[(?P<who>(?:default)?(?:rank|gpu|node|worker)?[ _:]?\d{1,5}(?:,\d{1,5})?)\](?:<std(?:err|out)>)?:? ?", re.IGNORECASE
    ),  # torchrun, mpirun
    re.compile(
        r"(?P<who>(?:rank|node|worker|gpu)[-_ ]?\d{1,5}|\d{1,5}):\s(?=\s*(?:\S*(?:Error|Exception)|Traceback|File |\S))", re.IGNORECASE
    ),  # srun -l, pdsh
    re.compile(r"(?P<who>[\w.-]{1,40}?-\d{1,4}) {1,8}\| ?"),  # docker compose
    re.compile(  # a time, SGLang's worker behind it
        r"\[?\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?(?: (?P<who>(?:DP\d{1,4} ?)?(?:TP\d{1,4})(?: ?[EP]P\d{1,4})?))?\]?[ :|-]{0,4}"
    ),
    re.compile(r"(?:ERROR|WARNING|INFO|CRITICAL|DEBUG)\s{1,4}\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? \[[^\]\n]{1,80}\] ?"),  # vLLM
    re.compile(r"\[?(?:ERROR|WARNING|WARN|INFO|CRITICAL|FATAL)\]?(?:[ :|-]{1,4}|$)(?![ :|-])"),
    re.compile(r"\[[EWIF]\d{0,4} ?[^\]\n]{0,80}\] ?"),  # glog, c10d
)
"""What may stand before a line, each at most once; `who` names the process."""

MARKS = frozenset("([>0123456789EWICFDrngwvRNGW")
"""How a labelled line can begin."""


def clean(raw: str) -> str:
    """The line without terminal sequences and characters that nobody sees; at most LONGEST characters."""
    if not raw.isascii() or not raw.isprintable():
        raw = raw.translate(WIDE)
    if "[" in raw:
        raw = ESCAPES.sub("", raw)
    if not raw.isprintable():
        raw = UNSEEN.sub("", raw.replace("\t", "    "))
    return raw[:LONGEST].rstrip()


def split(line: str) -> tuple[str, str]:
    """Who says it, empty where no label tells, and the line without its labels."""
    who: list[str] = []
    left = list(LABELS)
    while line[:1] in MARKS or line[:1] == " ":
        stripped = line.lstrip(" ") if line[:1] == " " else line
        found = next(((label, match) for label in left if (match := label.match(stripped))), None)
        if found is None or (line[:1] == " " and not found[1].groupdict().get("who")):
            break
        label, match = found
        left.remove(label)
        if name := match.groupdict().get("who"):
            who.append(name.strip())
        line = stripped[match.end() :]
    return " ".join(who), line
