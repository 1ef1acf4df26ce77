"""
For people who write probes and rules: every fact with sensible values, and one rule asked by itself.

    def test_acme001_fires_on_an_older_driver() -> None:
        (found,) = findings(driver_below_baseline, a_driver(version="535.104.05"))
        assert "535.104.05" in found.message

The keywords of a builder are fields of its fact. Left alone, they describe one healthy machine: an A100 under Linux with
torch 2.6.0+cu124. A probe needs no helper: it is called like the function it was, `my_probe(torch=a_torch())`.
"""

from .amp import an_amp
from .cast import a_cast
from .failure import a_failure, a_frame, operands
from .flow import a_flow, a_miniature, a_replay
from .machine import (
    OPERATIONS,
    a_cpu,
    a_device,
    a_driver,
    a_gpu,
    a_host,
    a_place,
    a_precision,
    a_torch,
    a_torch_without_cuda,
    an_environ,
    an_nvml_device,
    an_operation,
    some_packages,
    switches,
)
from .mismatch import a_mismatch
from .model import a_checkpoint, a_model, a_native, a_safetensors_file, an_adapter, an_anatomy, some_weights
from .rules import findings, recorded, verdict

__all__ = [
    "OPERATIONS",
    "a_cast",
    "a_checkpoint",
    "a_cpu",
    "a_device",
    "a_driver",
    "a_failure",
    "a_flow",
    "a_frame",
    "a_gpu",
    "a_host",
    "a_miniature",
    "a_mismatch",
    "a_model",
    "a_native",
    "a_place",
    "a_precision",
    "a_replay",
    "a_safetensors_file",
    "a_torch",
    "a_torch_without_cuda",
    "an_adapter",
    "an_amp",
    "an_anatomy",
    "an_environ",
    "an_nvml_device",
    "an_operation",
    "findings",
    "operands",
    "recorded",
    "some_packages",
    "some_weights",
    "switches",
    "verdict",
]
