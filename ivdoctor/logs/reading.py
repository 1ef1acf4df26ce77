"""A text in, its failures and its surroundings out: each failure once, with how often and by whom it was told."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO

from ..facts import Failure, Frame, Operand
from ..outcome import Outcome
from . import hints
from .lines import clean, split, unpacked
from .messages import Told, recognise
from .own import Own
from .patterns import Lazy
from .refine import category
from .scan import BEGINNING, Bytes, Passage, Skip, passages
from .surroundings import Surroundings
from .traceback import FILE, FINAL, error, frames

ENOUGH = 16
"""How often one message's traceback is read; further tellings are counted."""
DIFFERENT = 64
"""Different failures that are told apart; a log with more has one cause, and many words for it."""
MESSAGES = 1024
"""Different messages that are counted."""
UNKNOWN = 8
"""Exceptions nobody knows that are kept."""
SKIPPED = 4096
"""Lines that are remembered as needing no second look."""
SPEAKERS = 16
FOLLOWING = 8
"""Lines that a message may take."""
LONGEST = 600
"""Characters of a message that are shown."""
NEAR = 12
"""Lines before a message that are looked at for hints."""

WRAPPERS = Lazy(
    r"Engine core initialization failed|See root cause above|EngineDeadError|RayTaskError|ChildFailedError|ProcessExitedException|ProcessRaisedException"
    r"|terminated with the following error|BackendCompilerFailed|InductorError|CalledProcessError|KeyboardInterrupt|SystemExit|BrokenPipeError|GracefulExit"
    r"|CompilationError: at |Error\(s\) in loading state_dict|DataLoader worker|CancelledError|Set TORCH_LOGS|error_file:|StopIteration|FutureWarning|DeprecationWarning|UserWarning|RuntimeWarning|SyntaxWarning"
)
"""What only passes a failure on, or is none."""


@dataclass(slots=True)
class Reading:
    """What has been read so far."""

    known: dict[object, Failure] = field(default_factory=dict)
    unknown: dict[str, Failure] = field(default_factory=dict)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often each message was told, by its family and its words."""
    keys: dict[tuple[str, str], object] = field(default_factory=dict)
    surroundings: Surroundings = field(default_factory=Surroundings)
    skip: Skip = field(default_factory=Skip)
    """Lines far into a text that need no second look."""
    owed: dict[bytes, object] = field(default_factory=dict)
    """The failures whose tellings are counted there."""
    inside: int = 0
    """The last line that may belong to a message of many lines."""
    own: Own = field(default_factory=Own)
    """Where in a report of ivdoctor's own the text is."""

    def failures(self) -> tuple[Failure, ...]:
        """Known ones in the order of the text, then exceptions that nobody knows."""
        for line, key in self.owed.items():
            self._again(key, "", self.skip.counts[line])
            self.skip.counts[line] = 0
        return (*_joined(list(self.known.values())), *self.unknown.values())

    def outcomes(self) -> tuple[Outcome, ...]:
        """Facts about the machine that the text names."""
        return self.surroundings.outcomes()

    def take(self, passage: Passage) -> None:
        """One line of the text."""
        raw = passage.line.decode("utf-8", "replace")
        if inner := unpacked(raw):
            for one in passages(BytesIO(inner.encode("utf-8", "replace")), Skip()):
                self.take(replace(one, number=passage.number, key=b""))
            return
        whole = clean(raw)
        who, line = split(whole)
        if passage.number:
            if self.own.holds(whole):
                for said in self.own.surroundings(whole):
                    self.surroundings.feed(said)
                return
            self.surroundings.feed(whole)
        if not line or FILE.match(line) or CODE.match(line) or self._inside(passage, line):
            return
        following = ""
        told = recognise(line)
        if _may_go_on(line, told):
            following = _following(passage, who)
            told = recognise(f"{line}\n{following}", first=len(line)) or told
        if told is None:
            self._unknown(passage, who, line)
            self._skip(passage, None)
            return
        self._known(passage, who, line, following, told)

    def _known(self, passage: Passage, who: str, line: str, following: str, told: Told) -> None:
        message = _message(line, following, told)
        words = (told.family, re.sub(r"0x[0-9a-f]+|\d{4,}", "#", message))
        times = self.seen.get(words, 0) + 1
        if times == 1 and len(self.seen) >= MESSAGES:
            return
        self.seen[words] = times
        if times > ENOUGH:
            self._again(self.keys.get(words), who)
            self._skip(passage, self.keys.get(words))
            return
        before = _before(passage, who)
        path = (*frames(before), *_user_code(passage, who))
        block = BLOCKS.get(told.family, 0)
        self.inside = passage.number + block if block else self.inside
        nearby = "\n".join([*before[-NEAR:], line, *_lines(passage, who, block or FOLLOWING)[: block or AFTER]])
        failure = Failure(
            family=told.family,
            category=category(told, path, nearby),
            error=error(line),
            message=message,
            operands=told.operands,
            op=told.op,
            device=told.device,
            needs=told.needs,
            has=told.has,
            frames=path,
            libraries=tuple(sorted({one.library for one in path if one.library})),
            words=hints.words(nearby + "\n" + "\n".join(one.code for one in path)),
            speakers=(who,) if who else (),
            line=passage.number,
        )
        key = _key(failure)
        self.keys[words] = key
        if key in self.known:
            self._again(key, who)
        elif len(self.known) < DIFFERENT:
            self.known[key] = failure

    def _inside(self, passage: Passage, line: str) -> bool:
        """Whether the line belongs to a message of many lines that is known already."""
        if line.startswith("Traceback") or FINAL.match(line):
            self.inside = 0
        return 0 < passage.number <= self.inside

    def _again(self, key: object, who: str, times: int = 1) -> None:
        if (failure := self.known.get(key)) and times:
            speakers = (*failure.speakers, who) if who and who not in failure.speakers and len(failure.speakers) < SPEAKERS else failure.speakers
            self.known[key] = replace(failure, count=failure.count + times, speakers=speakers)

    def _skip(self, passage: Passage, key: object) -> None:
        """Such a line needs no second look: it tells nothing, or its failure is known well enough."""
        beginning = passage.key[:BEGINNING]
        if passage.key and key is None and (beginning in self.skip.dull or len(self.skip.dull) < SKIPPED):
            self.skip.dull[beginning] = self.skip.dull.get(beginning, 0) + 1
        if passage.key and len(self.skip.counts) < SKIPPED:
            self.skip.counts[passage.key] = 0
            if key is not None:
                self.owed[passage.key] = key

    def _unknown(self, passage: Passage, who: str, line: str) -> None:
        """An exception at the end of a traceback, in words that no row knows."""
        found = FINAL.match(line.lstrip())
        if found is None or WRAPPERS.search(line):
            return
        name, words = found["error"], re.sub(r"\d+", "#", line)[:200]
        if words in self.unknown:
            self.unknown[words] = replace(self.unknown[words], count=self.unknown[words].count + 1)
            return
        if len(self.unknown) >= UNKNOWN:
            return
        path = frames(_before(passage, who))
        message = line.strip().partition(":")[2].strip()
        if path or message:
            self.unknown[words] = Failure(
                family="", category="", error=name, message=(message or line.strip())[:LONGEST], frames=path, line=passage.number
            )


def read(stream: Bytes) -> Reading:
    """Read to the end; memory stays the same however long the text is."""
    reading = Reading()
    for passage in passages(stream, reading.skip):
        reading.take(passage)
    return reading


def _may_go_on(line: str, told: Told | None) -> bool:
    """Whether the lines behind may belong to the message: its operands are not there yet, or it broke off."""
    if told is not None:
        return (not told.operands and told.family not in WHOLE) or (told.end == len(line) and line.count("(") > line.count(")"))
    lowered = line.lower()
    return lowered.endswith((",", "(", "the", "same", "to", "and", "for", "only", "but", ":")) or "query/key/value" in lowered or "cublas" in lowered


BLOCKS = {"xformers-none": 60}
"""Families whose message is a list of reasons, and the lines that it may take."""

CODE = Lazy(r"\s*(?:raise |warnings\.warn\(|logger\.\w+\(|logging\.\w+\(|print\()")
"""A line of the program that quotes the message it is about to raise."""

WHOLE = frozenset({"several-devices", "unscale-fp16", "out-of-memory", "no-kernel-image", "missing-package", "driver", "quant-scheme-frames"})
"""Families whose one line says it all."""


def _lines(passage: Passage, who: str, most: int = FOLLOWING) -> list[str]:
    """The next few lines of the same speaker."""
    raw = _split(passage.after())[1 : 4 * most]
    return [line for speaker, line in map(split, map(clean, raw)) if speaker == who][:most]


def _following(passage: Passage, who: str) -> str:
    """The next few lines of the same speaker, up to a blank one."""
    lines = _lines(passage, who)
    blank = next((number for number, line in enumerate(lines) if number and not line.strip()), len(lines))
    return "\n".join(lines[:blank])


def _user_code(passage: Passage, who: str) -> tuple[Frame, ...]:
    """Frames that torch.compile tells behind its message, of the user's own code."""
    if b"from user code:" not in passage.after():
        return ()
    lines = _lines(passage, who, 4 * FOLLOWING)
    begin = next((number for number, line in enumerate(lines) if line.strip() == "from user code:"), len(lines)) + 1
    end = next((number for number, line in enumerate(lines) if number > begin and not line.strip()), len(lines))
    return frames(lines[begin:end])


def _split(raw: bytes) -> list[str]:
    """Lines, however they end."""
    return raw.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _before(passage: Passage, who: str) -> list[str]:
    """Lines of the same speaker, the nearest last."""
    raw = _split(passage.before())[-FAR:]
    pairs = [split(clean(one)) for one in raw]
    return [line for speaker, line in pairs if speaker == who] if who else [line for _, line in pairs]


AFTER = 4
"""Lines behind a message that are looked at for hints."""
FAR = 1200
"""Lines before a message that are gone through: eight ranks may speak at once."""


def _message(line: str, following: str, told: Told) -> str:
    """The line from the exception on, and as much of what follows as belongs to it, in one line."""
    text = f"{line}\n{following}" if told.end > len(line) else line
    begins = max(0, told.start - LONGEST // 2)
    text = text[begins : max(told.end, len(line) if told.start < LONGEST // 2 else told.end)]
    name = error(text)
    if name and f"{name}:" in text[: max(0, told.end - begins)]:
        text = text.partition(f"{name}:")[2]
    text = " ".join(text.split())[:LONGEST].strip()
    for mark in "`'\"":
        if text.count(mark) % 2:  # the mark that opened it stands before the exception
            text = text.rstrip(mark)
    return text or " ".join(line.split())[:LONGEST]


def _key(failure: Failure) -> object:
    """What makes two tellings one failure."""
    spot = failure.own or failure.raised
    return (*_said(failure), failure.category, (spot.file, spot.line) if spot else None)


def _said(failure: Failure) -> tuple[object, ...]:
    """What a message says, whatever stands around it."""
    return (failure.family, failure.op, failure.needs, failure.has, failure.device, _typed(failure.operands))


def _typed(operands: Sequence[Operand]) -> tuple[tuple[str, str, str], ...]:
    return tuple((one.role, one.dtype, one.device) for one in operands)


def _joined(found: list[Failure]) -> list[Failure]:
    """A telling without a traceback is the same failure as one with it: a title, a last line that is repeated."""
    kept: list[Failure] = []
    for one in found:
        twin = next((number for number, other in enumerate(kept) if _same(one, other)), None)
        if twin is None:
            kept.append(one)
            continue
        other = kept[twin]
        fuller = one if one.frames and not other.frames else other
        kept[twin] = replace(
            fuller,
            count=one.count + other.count,
            speakers=tuple(dict.fromkeys(other.speakers + one.speakers))[:SPEAKERS],
            line=min(filter(None, (one.line, other.line)), default=0),
        )
    return kept


def _same(one: Failure, other: Failure) -> bool:
    if _said(one) != _said(other):
        return False
    wrapped = one.message != other.message and one.message.endswith(other.message)  # `MyError: inference failed: ` and the message again
    return wrapped or not (one.frames and other.frames)
