"""
What may leave the machine: names, addresses and secrets are taken out of every text before anything is judged.

Every pattern begins at a boundary or at a fixed text and repeats within bounds, so that no text takes long.
"""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterable
from functools import cache, partial
from typing import Any, Literal, get_origin, get_type_hints

from .facts import Version
from .outcome import Outcome

VERSION = re.compile(r"v?\d[\w.+!~-]{0,63}")
"""What a field typed Version may hold unscrubbed, so that no plugin can smuggle text through one."""

WORD = re.compile(r"\w[\w.+:-]{0,63}(?:/[\w-]{1,8}){0,2}")
"""What a field of WORDS or of a closed set may hold unscrubbed: one word, or a case such as `bf16/fp32/fp32`."""

COMMON = frozenset(  # a hundred quoted words would be harder to read
    [
        "root",
        "user",
        "users",
        "admin",
        "administrator",
        "ubuntu",
        "debian",
        "ec2-user",
        "home",
        "host",
        "localhost",
        "localdomain",
        "local",
        "guest",
        "test",
        "runner",
        "cpu",
        "cuda",
        "gpu",
        "mps",
        "xpu",
        "rocm",
        "torch",
        "python",
        "linux",
        "windows",
        "darwin",
        "model",
        "vision",
        "lm",
        "projector",
        "driver",
        "none",
        "true",
        "false",
        "unknown",
        "fp16",
        "fp32",
        "bf16",
        "half",
        "float",
        "float16",
        "float32",
        "bfloat16",
        "error",
        "warning",
        "note",
        "ready",
        "matmul",
        "linear",
        "conv2d",
        "attention",
        "layer_norm",
        "ran",
        "raised",
        "works",
        "wrong",
        "refused",
        "passed",
        "failed",
        "native",
        "emulated",
        "apple",
        "intel",
        "amd",
        "nvidia",
        "m1",
        "m2",
        "m3",
        "m4",
        "m5",
        "arc",
        "tesla",
    ]
)
"""Names that identify nobody, or that the report needs as words."""

SECRETS = r"""(?xs)
    hf_[A-Za-z0-9]{8,} | api_org_[A-Za-z0-9]{8,}
    | sk-[A-Za-z0-9_-]{8,} | (?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{8,} | nvapi-[A-Za-z0-9_-]{8,}
    | (?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{12,} | AIza[A-Za-z0-9_-]{20,}
    | gh[pousr]_[A-Za-z0-9]{8,} | github_pat_[A-Za-z0-9_]{8,} | glpat-[A-Za-z0-9_-]{8,} | xox[abeoprs]-[A-Za-z0-9-]{8,}
    | (?<![\w-])eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]*
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)
"""
SECRET_PARTS = (
    "hf_",
    "api_org_",
    "sk-",
    "k_live_",
    "k_test_",
    "nvapi-",
    "AKIA",
    "ASIA",
    "AGPA",
    "AIDA",
    "AROA",
    "AIza",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xox",
    "eyJ",
    "BEGIN",
)
"""One of these stands in whatever SECRETS can match."""

SECRET_NAMES = ("secret", "token", "passw", "pwd", "key", "credential", "sig", "bearer", "authorization")
"""One of these stands in whatever NAMED_VALUE can match, in lower case."""

NAMED_VALUE = (
    r"(?i)((?:secret|token|passw(?:or)?d|\bpwd|api[_-]?key|access[_-]?key|credential|\bsig)[\w-]{0,40}[\"']?\s{0,4}[=:]\s{0,4}"
    r"|--[\w-]{0,40}(?:secret|token|passw(?:or)?d|key|credential)\s{1,4}"
    r"|\bbearer\s{1,4}|\bauthorization:\s{0,4}(?:basic|bearer)\s{1,4})"
    r"(?:\"[^\"\n]{1,512}\"|'[^'\n]{1,512}'|(?!\d{1,7}\b)(?!(?:torch|nn|np|F|self)\.[\w.]{1,60}\()[^\s\"',;<>]{3,})"  # a call is code, and no secret
)
PHRASE = r"(?i)((?:passw(?:or)?d|\bpwd)[\w-]{0,20}[\"']?\s{0,4}[=:]\s{0,4})[^\s\"',;<>]{3,}"
URL_CREDENTIALS = r"(?i)(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{1,20}://)[^\s\"'<>]{1,512}@"
EMAIL = r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}"
IPV4 = r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\d|\.\d)"
COLONS = r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?<=:)\d+(?:\.\d+){3})?(?![\w:])"
HOMES = r"(?i)(?:/home/|/Users/|/var/home/)[^\s/\\:\"'<>|,;)]+|[A-Z]:[\\/]+Users[\\/]+[^\\/:\"'<>|,;)\n]{1,64}(?=[\\/])|[A-Z]:[\\/]+Users[\\/]+[^\s/\\:\"'<>|,;)]+|(?<![\w/.-])/root(?![\w.-])"

WORDS = frozenset({"arch_list", "case", "cpu_capability", "cpu_reports", "features", "gfx", "microarchitecture", "remedy"})
"""Fields that hold the program's or the vendor's own words: a user called `zen2` is not meant there."""

MARKS = frozenset("@:=/\\_-.")
"""Without one of these a text holds no secret, address or path, unless it is as long as a key."""

SHORTEST_KEY = 16
"""Characters of the shortest secret without punctuation."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose machine this is."""

    homes: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @classmethod
    def here(cls) -> "Identity":
        """The user and the machine of this process."""
        import getpass
        import platform

        homes = {os.path.expanduser("~"), os.environ.get("HOME", ""), os.environ.get("USERPROFILE", "")}
        users = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
        with contextlib.suppress(OSError, KeyError):  # a container's user need not have a name
            users.add(getpass.getuser())
        hosts = {platform.node(), os.environ.get("HOSTNAME", ""), os.environ.get("COMPUTERNAME", "")}
        hosts |= {host.partition(".")[0] for host in hosts}
        return cls(homes=_usable(homes), users=_usable(users), hosts=_usable(hosts))


def _usable(names: Iterable[str]) -> tuple[str, ...]:
    """Longest first, without those that would take words out of every report."""
    kept = {name for name in names if len(name.strip("/\\~.")) > 1 and name.lower() not in COMMON}
    return tuple(sorted(kept, key=lambda name: (-len(name), name)))


class Redactor:
    """Scrubs texts, and every text in a fact."""

    def __init__(self, identity: Identity | None = None) -> None:
        """With no identity only what shows itself goes: secrets, addresses, paths below anybody's home."""
        identity = identity or Identity()
        self._homes = identity.homes
        self._seen: dict[str, str] = {}
        self._names = [(_token(name), f"<{kind}>") for kind in ("host", "user") for name in getattr(identity, kind + "s")]

    def text(self, text: str) -> str:
        """The text with placeholders such as `<user>` where something personal or secret stood."""
        if text not in self._seen:  # facts repeat a few words a thousand times
            self._seen[text] = self._scrubbed(text)
        return self._seen[text]

    def _scrubbed(self, text: str) -> str:
        if len(text) >= SHORTEST_KEY or not MARKS.isdisjoint(text):
            text = self._marked(text)
        for pattern, placeholder in self._names:
            text = pattern.sub(placeholder, text)
        return text

    def _marked(self, text: str) -> str:
        """What shows itself; a pattern is tried, and compiled, only where its own punctuation is there."""
        if "@" in text:
            text = re.sub(URL_CREDENTIALS, r"\1<credentials>@", text)
        if any(name in text.lower() for name in SECRET_NAMES):
            text = re.sub(PHRASE, r"\1<secret>", re.sub(NAMED_VALUE, r"\1<secret>", text))
        if any(part in text for part in SECRET_PARTS):
            text = re.sub(SECRETS, "<secret>", text)
        if "/" in text or "\\" in text:
            for home in self._homes:
                text = text.replace(home, "~")
            text = re.sub(HOMES, "~", text)
        if "@" in text:
            text = re.sub(EMAIL, "<email>", text)
        if "." in text:
            text = re.sub(IPV4, "<address>", text)
        if ":" in text:
            text = re.sub(COLONS, _address, text)
        return text

    def fact(self, value: Any) -> Any:
        """The same value with every text in it scrubbed; typed versions stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, tuple):
            return tuple(map(self.fact, value))
        if isinstance(value, dict):
            return {self.fact(key): self.fact(inner) for key, inner in value.items()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            versions, closed = _exempt(type(value))
            clean = {
                field.name: partial(_unless, VERSION, self)
                if field.name in versions
                else partial(_unless, WORD, self)
                if field.name in closed
                else self.fact
                for field in dataclasses.fields(value)
            }
            return dataclasses.replace(value, **{name: scrub(getattr(value, name)) for name, scrub in clean.items()})
        return value

    def outcome(self, outcome: Outcome) -> Outcome:
        """An outcome as it may be shown."""
        return dataclasses.replace(
            outcome,
            subject=self.text(outcome.subject),
            place=self.text(outcome.place),
            reason=self.text(outcome.reason),
            fact=self.fact(outcome.fact),
        )


def _unless(shape: re.Pattern[str], redactor: Redactor, value: Any) -> Any:
    """Scrubbed, unless it is of the shape that its field's type promises."""
    if isinstance(value, tuple):
        return tuple(_unless(shape, redactor, inner) for inner in value)
    return value if isinstance(value, str) and shape.fullmatch(value) else redactor.fact(value)


@cache
def _exempt(kind: type) -> tuple[frozenset[str], frozenset[str]]:
    """Fields that hold a version, and fields that can hold nothing but words of a closed set or of ours."""
    hints = get_type_hints(kind)
    versions = frozenset(name for name, hint in hints.items() if hint in (Version, Version | None))
    closed = frozenset(name for name, hint in hints.items() if get_origin(hint) is Literal or name in WORDS)
    return versions, closed


def _token(name: str) -> re.Pattern[str]:
    """A whole token; in scripts without spaces there are none, so there any occurrence counts."""
    quoted = re.escape(name)
    return re.compile(rf"(?<![A-Za-z0-9_]){quoted}(?![A-Za-z0-9_])" if name.isascii() else quoted, re.IGNORECASE)


def _address(match: re.Match[str]) -> str:
    """IPv6 and MAC addresses; `0000:3b:00` (PCI) and `12:30:45` are neither."""
    import ipaddress

    text = match[0]
    if re.fullmatch(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", text):
        return "<address>"
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return text
    return text if text == "::" else "<address>"
