"""One line of a log as its program wrote it: without terminal sequences, and apart from the labels that loggers and launchers put before it."""

from .patterns import Lazy

LONGEST = 4096
"""Characters of a line that are looked at, around what was found in it."""

ESCAPES = Lazy(
    r"(?:\x1b|\\u001b|\\x1b|\\033|\^\[)\[[0-?]{0,32}[ -/]{0,4}[@-~]"  # CSI, also as JSON, Python and a terminal's own echo spell it
    r"|\x9b[0-?]{0,32}[@-~]"
    r"|\x1b\][^\x07\x1b\n]{0,512}(?:\x07|\x1b\\)"  # OSC: titles and links
    r"|\x1b[ -/]{0,4}[0-~]"
    r"|\[(?:0|[349][0-7]|[0-9]{1,2}(?:;[0-9]{1,3}){1,4})m"  # a paste that lost its escape character
)
WIDE = str.maketrans("（）：，“”‘’！＝　", "():,\"\"''!= ")  # noqa: RUF001  # what a Chinese input method writes
"""Full-width forms that stand inside quoted messages."""

ANY = ""
"""Of a label that may begin with anything."""

LABELS = (
    (">", Lazy(r"(?:> ?){1,32}")),  # quoted in a mail or an issue
    ("E", Lazy(r"E {3,}(?=\S)")),  # pytest
    ("(", Lazy(r"\((?P<who>[A-Za-z][\w:.-]{0,60}(?: rank=\d{1,5})?(?: pid=\d{1,9})?(?:, ip=[\d.]{7,15})?)\) ?")),  # Ray, vLLM: (Worker_TP0 pid=17)
    ("[", Lazy(r"(?i)\[(?P<who>(?:default)?(?:rank|gpu|node|worker)?[ _:]?\d{1,5}(?:,\d{1,5})?)\](?:<std(?:err|out)>)?:? ?")),  # torchrun, mpirun
    (
        "abcdefghijklmnopqrstuvwxyzRNWG0123456789",
        Lazy(r"(?i)(?P<who>(?:rank|node|worker|gpu)[-_ ]?\d{1,5}|\d{1,5}|\d{1,3}(?:\.\d{1,3}){3}|[a-z][\w-]{1,40}-\d{1,4}):\s(?=\s*\S)"),
    ),  # srun -l, pdsh
    (  # a time, SGLang's worker behind it
        "[0123456789",
        Lazy(
            r"\[?\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
            r"(?: (?P<who>(?:DP\d{1,4} ?)?(?:TP\d{1,4})(?: ?[EP]P\d{1,4})?))?\]?[ :|-]{0,4}"
        ),
    ),
    ("EWICD", Lazy(r"(?:ERROR|WARNING|INFO|CRITICAL|DEBUG)\s{1,4}\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? \[?[^\]\n\[]{1,80}\] ?")),  # vLLM
    ("EWIF", Lazy(r"[EWIF]\d{4} \d\d:\d\d:\d\d\.\d{1,9} {1,8}\d{1,9} [^\]\n ]{1,80}\] ?")),  # absl
    ("JFMASOND", Lazy(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [\w.-]{1,60} [\w.@/-]{1,60}(?:\[\d{1,9}\])?: ?")),  # journald
    ("0123456789s", Lazy(r"std(?:err|out) [FP] ")),  # CRI, behind its time
    ("[EWICF", Lazy(r"\[?(?:ERROR|WARNING|WARN|INFO|CRITICAL|FATAL)\]?(?:[ :|-]{1,4}|$)(?![ :|-])")),
    ("[", Lazy(r"\[[EWIF]\d{0,4} ?[^\]\n]{0,80}\] ?")),  # glog, c10d
    (ANY, Lazy(r"(?P<who>[\w.-]{1,40}?(?:[-_]\d{1,4} {1,8}| {2,24}))\| ?")),  # docker compose
)
"""How a label begins, and the label: what may stand before a line, each at most once; `who` names the process."""

BAR = 60
"""Characters within which docker's bar stands."""


JSON = Lazy(r'\s*\{.{0,2000}?"(?:log|message|msg|text|line)": ?"(?P<said>(?:[^"\\]|\\.){1,60000})"')
"""A log line as JSON: Kubernetes, Docker, structlog."""


def said(raw: str) -> str:
    """What a line of JSON says, the line breaks in it included; empty for every other line."""
    if not raw.lstrip().startswith("{") or (found := JSON.match(raw)) is None:
        return ""
    import json

    try:
        return str(json.loads(f'"{found["said"]}"', strict=False))
    except ValueError:
        return ""


def unpacked(raw: str) -> str:
    """The same, where it is more than one line."""
    text = said(raw)
    return text if "\n" in text.rstrip("\n") else ""


def clean(raw: str) -> str:
    """The line without terminal sequences and characters that nobody sees; at most LONGEST characters."""
    if raw[:1] == "{" and (text := said(raw)):
        raw = text.rstrip("\n")
    if "&" in raw and (";" in raw):
        raw = raw.replace("&quot;", '"').replace("&#39;", "'").replace("&#x27;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    if not raw.isascii():
        raw = raw.translate(WIDE)
    seen = raw.isprintable()
    if not seen or "[" in raw:
        raw = ESCAPES.sub("", raw)
    if not seen:
        raw = "".join(one if one.isprintable() else " " if one.isspace() else "" for one in raw.replace("\t", "    "))
    return raw[:LONGEST].rstrip()


def split(line: str) -> tuple[str, str]:
    """Who says it, empty where no label tells, and the line without its labels."""
    who: list[str] = []
    left = list(LABELS)
    while line and line[0] != " ":
        barred = "|" in line[:BAR]
        for one in left:
            begins, label = one
            if (line[0] in begins if begins else barred) and (match := label.match(line)):
                break
        else:
            break
        if one[0] != "(":  # `(EngineCore pid=7)(Worker pid=3)`
            left.remove(one)
        if name := match.groupdict().get("who"):
            who.append(name.strip())
        line = line[match.end() :]
    return " ".join(who), line
