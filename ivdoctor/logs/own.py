"""Reports of ivdoctor's own inside a text: what they demonstrate is no failure of the text, and what they say of the machine is true."""

from collections.abc import Iterator
from dataclasses import dataclass

from .patterns import Lazy

BEGINNINGS = (
    (Lazy(r"## ivdoctor: [A-Z]"), Lazy("<!-- end of ivdoctor report -->")),
    (
        Lazy(r"ivdoctor \d{1,4}\.\d{1,4}\S{0,40}, tables of \d{4}-"),
        Lazy(r"(?:READY|NOT READY|UNDETERMINED|EXPLAINED|NOT RECOGNISED|NO FAILURE FOUND): "),
    ),
    (Lazy(r"\s*(?:\{\s*)?\"schema\": ?\"ivdoctor\.(?:report|snapshot)/"), Lazy(r"\}")),
)
"""How one begins and ends: in Markdown, at the terminal, as JSON."""

LINE = Lazy(r"(?:\| | {2})(?P<subject>torch|gpu|driver)\s{1,12}(?:\| )?(?P<text>[^|\n]{2,600}?)(?: \|)?$")
"""A line of the summary, in Markdown or at the terminal."""
LABEL = Lazy(r"\s*\"label\": ?\"(?P<subject>torch|gpu|driver)\"")
TEXT = Lazy(r"\s*\"text\": ?\"(?P<text>[^\"\n]{2,600})\"")
"""The same line in JSON, over two lines."""
LONGEST = 5000
"""Lines of a report."""
HEADER = "Traceback (most recent call last)"
VERSION = Lazy(r"\d[\w.+]{2,40}")
DRIVER = Lazy(r"NVIDIA (?P<version>[\d.]{3,20}), CUDA (?P<cuda>[\d.]{3,6})")


@dataclass(slots=True)
class Own:
    """Whether a line is part of such a report."""

    end: Lazy | None = None
    count: int = 0
    lines: int = 0
    """Of the report so far."""
    label: str = ""
    """What the next line of JSON tells of."""

    def holds(self, line: str) -> bool:
        """Whether this line belongs to a report; the next line is asked next."""
        if self.end is not None and (HEADER in line or self.lines > LONGEST):
            self.end = None  # a report that was cut: none of ours prints a traceback
        self.lines += 1
        if self.end is not None:
            if self.end.match(line):
                self.end = None
            return True
        for beginning, end in BEGINNINGS:
            if beginning.match(line):
                whole = line.lstrip().startswith("{")  # JSON in one line
                self.end, self.count, self.lines = None if whole else end, self.count + 1, 0
                return True
        return False

    def surroundings(self, line: str) -> Iterator[str]:
        """What a line of a report says of the machine, as torch's and NVIDIA's own tools would."""
        label, self.label = self.label, ""
        if found := LINE.match(line):
            yield from _surroundings(found["subject"], found["text"].strip())
        elif found := LABEL.match(line):
            self.label = found["subject"]
        elif label and (found := TEXT.match(line)):
            yield from _surroundings(label, found["text"].strip())


def _surroundings(subject: str, text: str) -> Iterator[str]:
    if subject == "torch" and (version := VERSION.match(text)):
        yield f"PyTorch version: {version[0]}"
    elif subject == "gpu":
        for index, device in enumerate(text.split("; ")):
            yield f"GPU {index}: {device.rpartition(' (')[0] or device}"
    elif subject == "driver" and (driver := DRIVER.match(text)):
        yield f"Driver Version: {driver['version']}   CUDA Version: {driver['cuda']}"
