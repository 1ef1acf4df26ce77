"""Findings and gaps in, verdict and exit code out."""

from collections.abc import Iterable
from enum import Enum, IntEnum

from .finding import Finding, Severity


class Answer(str, Enum):
    """The three things ivdoctor may conclude."""

    READY = "ready"
    NOT_READY = "not-ready"
    UNDETERMINED = "undetermined"


class Exit(IntEnum):
    """The process's exit codes, the same for every format."""

    READY = 0
    NOT_READY = 1
    USAGE = 2
    UNDETERMINED = 3
    BROKEN = 4


class FailOn(str, Enum):
    """From which severity on the answer is no."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"

    def catches(self, finding: Finding) -> bool:
        """Whether this finding makes the answer no."""
        return self is not FailOn.NEVER and finding.severity.rank <= Severity(self.value).rank


def answer(findings: Iterable[Finding], *, fail_on: FailOn, gaps: bool) -> Answer:
    """A certain no beats an unknown, and an unknown beats a yes."""
    if any(fail_on.catches(finding) for finding in findings):
        return Answer.NOT_READY
    return Answer.UNDETERMINED if gaps else Answer.READY


def exit_code(verdict: Answer, *, broken: bool) -> Exit:
    """4 when ivdoctor itself failed, whatever else it found."""
    if broken:
        return Exit.BROKEN
    return {
        Answer.READY: Exit.READY,
        Answer.NOT_READY: Exit.NOT_READY,
        Answer.UNDETERMINED: Exit.UNDETERMINED,
    }[verdict]
