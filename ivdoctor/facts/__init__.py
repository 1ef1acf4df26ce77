"""What can be known: frozen dataclasses, one module a subject. Nothing here looks at anything."""

from .asked import Asked
from .cpu import Cpu
from .driver import Driver, NvmlDevice
from .dtype import HALVES, TORCH_NAME, DtypeRow, Half, Support
from .environ import Environ, Variable
from .gpu import Device, Gpu
from .host import Host
from .mismatch import Attempt, Cell, Mismatch, Site, Towers
from .packages import Package, Packages
from .place import Place
from .precision import Operation, Precision
from .torch import Switch, Torch
from .trial import Trial
from .version import Version, release

__all__ = [
    "HALVES",
    "TORCH_NAME",
    "Asked",
    "Attempt",
    "Cell",
    "Cpu",
    "Device",
    "Driver",
    "DtypeRow",
    "Environ",
    "Gpu",
    "Half",
    "Host",
    "Mismatch",
    "NvmlDevice",
    "Operation",
    "Package",
    "Packages",
    "Place",
    "Precision",
    "Site",
    "Support",
    "Switch",
    "Torch",
    "Towers",
    "Trial",
    "Variable",
    "Version",
    "release",
]
