"""What can be known: frozen dataclasses, one module a subject. Nothing here looks at anything."""

from .adapter import Adapter
from .amp import Amp, Misuse, Step
from .anatomy import Anatomy
from .asked import Asked
from .cache import Cache
from .cast import FP16_MAX, Cast, CastRun, Drift, Fed, Kept, Rounding
from .checkpoint import Checkpoint, Role, Stored
from .cpu import Cpu
from .driver import Driver, NvmlDevice
from .dtype import HALVES, INTEGERS, SHORT_NAME, TORCH_NAME, DtypeRow, Half, Support
from .environ import Environ, Variable
from .failure import Failure, Frame, Operand
from .flow import Flow, Flowed, Held, InputCast, Pair, Replay, Replayed
from .gpu import Device, Gpu
from .host import Host
from .limits import Limits
from .miniature import Miniature
from .mismatch import WRONG, Attempt, Cell, Mismatch, Site, Towers
from .model import Model
from .native import Native
from .packages import Package, Packages
from .place import Place
from .precision import COLLAPSED, EVERYDAY, SLOW, Format, Operation, Precision
from .quantisation import Quantisation
from .torch import Switch, Torch
from .trial import Trial
from .version import Version, release

__all__ = [
    "COLLAPSED",
    "EVERYDAY",
    "FP16_MAX",
    "HALVES",
    "INTEGERS",
    "SHORT_NAME",
    "SLOW",
    "TORCH_NAME",
    "WRONG",
    "Adapter",
    "Amp",
    "Anatomy",
    "Asked",
    "Attempt",
    "Cache",
    "Cast",
    "CastRun",
    "Cell",
    "Checkpoint",
    "Cpu",
    "Device",
    "Drift",
    "Driver",
    "DtypeRow",
    "Environ",
    "Failure",
    "Fed",
    "Flow",
    "Flowed",
    "Format",
    "Frame",
    "Gpu",
    "Half",
    "Held",
    "Host",
    "InputCast",
    "Kept",
    "Limits",
    "Miniature",
    "Mismatch",
    "Misuse",
    "Model",
    "Native",
    "NvmlDevice",
    "Operand",
    "Operation",
    "Package",
    "Packages",
    "Pair",
    "Place",
    "Precision",
    "Quantisation",
    "Replay",
    "Replayed",
    "Role",
    "Rounding",
    "Site",
    "Step",
    "Stored",
    "Support",
    "Switch",
    "Torch",
    "Towers",
    "Trial",
    "Variable",
    "Version",
    "release",
]
