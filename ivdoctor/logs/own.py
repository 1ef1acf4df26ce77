"""Reports of ivdoctor's own inside a text: what they demonstrate is no failure of the text, and what they say of the machine is true."""

from collections.abc import Iterator
from dataclasses import dataclass

from .patterns import Lazy

BEGINNINGS = (
    (Lazy(r"## ivdoctor: [A-Z]"), Lazy("<!-- end of ivdoctor report -->")),
    (Lazy(r"ivdoctor \d+\.\d+\S*, tables of \d{4}-"), Lazy(r"(?:READY|NOT READY|UNDETERMINED|EXPLAINED|NOT RECOGNISED|NO FAILURE FOUND): ")),
    (Lazy(r"\s*\{?\s*\"schema\": ?\"ivdoctor\.(?:report|snapshot)/"), Lazy(r"\}")),
)
"""How one begins and ends: in Markdown, at the terminal, as JSON."""

LINE = Lazy(r"(?:\| | {2})(?P<subject>torch|gpu|driver)\s{1,12}(?:\| )?(?P<text>[^|\n]{2,600}?)(?: \|)?$")
"""A line of the summary, in Markdown or at the terminal."""
VERSION = Lazy(r"\d[\w.+]{2,40}")
DRIVER = Lazy(r"NVIDIA (?P<version>[\d.]{3,20}), CUDA (?P<cuda>[\d.]{3,6})")


@dataclass(slots=True)
class Own:
    """Whether a line is part of such a report."""

    end: Lazy | None = None
    count: int = 0

    def holds(self, line: str) -> bool:
        """Whether this line belongs to a report; the next line is asked next."""
        if self.end is not None:
            if self.end.match(line):
                self.end = None
            return True
        for beginning, end in BEGINNINGS:
            if beginning.match(line):
                self.end, self.count = end, self.count + 1
                return True
        return False


def surroundings(line: str) -> Iterator[str]:
    """What a line of a report says of the machine, as torch's and NVIDIA's own tools would."""
    found = LINE.match(line)
    if found is None:
        return
    text = found["text"].strip()
    if found["subject"] == "torch" and (version := VERSION.match(text)):
        yield f"PyTorch version: {version[0]}"
    elif found["subject"] == "gpu":
        for index, device in enumerate(text.split("; ")):
            yield f"GPU {index}: {device.rpartition(' (')[0] or device}"
    elif found["subject"] == "driver" and (driver := DRIVER.match(text)):
        yield f"Driver Version: {driver['version']}   CUDA Version: {driver['cuda']}"
