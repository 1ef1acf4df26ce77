"""The failure as a script of its own: something to attach to a bug report, without ivdoctor in it."""

from .facts import TORCH_NAME, Asked, Half
from .finding import Finding
from .report import Report
from .text import say

SCRIPT = '''\
"""
{model} weights meet {input} pixels: the dtype clash of the InternVideo2.5 demo in miniature.

Needs torch and nothing else. {seen}
"""

import torch
from torch import nn


class PatchEmbedding(nn.Module):
    """A convolution with a bias, whose input nobody casts."""

    def __init__(self):
        super().__init__()
        self.projection = nn.Conv2d(3, 16, kernel_size=4, stride=4)

    def forward(self, pixel_values):
        return self.projection(pixel_values).flatten(2).transpose(1, 2)


print("torch", torch.__version__)
torch.manual_seed(0)
model = PatchEmbedding().to({device!r}, torch.{model})
pixel_values = torch.randn(2, 3, 8, 8).to({device!r}, torch.{input})
{cure}
with torch.no_grad():
    print("ran:", model(pixel_values).dtype)
'''


def script(report: Report, asked: Asked) -> str:
    """
    The script for the cell that was asked about where that fails, else for fp16 weights and bf16 pixels.

    It runs on the last place the failure was seen at, an accelerator where there is one; on the CPU when none was seen.
    """
    model, given = _cell(asked)
    seen = _seen(report, model, given)
    if not seen and (model, given) != FOUNDING:
        (model, given), seen = FOUNDING, _seen(report, *FOUNDING)
    place, message = seen[-1] if seen else ("cpu", "")
    found = [one for one in report.findings if one.code == "IVD401" and one.place == place and message and message in one.message]
    return SCRIPT.format(
        model=TORCH_NAME[model],
        input=TORCH_NAME[given],
        device=place,
        seen=say("Seen on {place}:", place=place) + f"\n{_line(message)}" if seen else say("Not run where this was written."),
        cure=_cure(found[0] if found else None),
    )


FOUNDING: tuple[Half, Half] = ("fp16", "bf16")


def _cell(asked: Asked) -> tuple[Half, Half]:
    """As IVD401 chooses it."""
    if asked.dtype == "auto":
        given = asked.input_dtype or "bf16"
        return ("bf16" if given == "fp16" else "fp16"), given
    return asked.dtype, asked.input_dtype or "fp32"


def _seen(report: Report, model: Half, given: Half) -> list[tuple[str, str]]:
    """Where this cell was run and raised, and what it said."""
    return [
        (subject.place, cell["attempt"]["message"])
        for name, subject in report.outcomes()
        if name == "mismatch"
        for cell in subject.fact.get("cells", ())
        if (cell["model"], cell["input"]) == (model, given) and cell["attempt"]["status"] == "raised"
    ]


def _cure(finding: Finding | None) -> str:
    """The leading fix, commented out."""
    if finding is None or not finding.fixes:
        return ""
    lines = "".join(f"# {line}\n" for line in finding.fixes[0].code.splitlines())
    return f"\n# {say('What cures it:')}\n{lines}"


def _line(message: str) -> str:
    """One line that cannot end the docstring it stands in."""
    return " ".join(message.split()).replace("\\", "/").replace('"', "'")[:200]
