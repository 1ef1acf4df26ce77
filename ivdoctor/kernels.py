"""What kernels and inference engines do in a format on a place: by the hardware's generation, from the tables."""

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from .facts import Checkpoint, Place, Quantisation, Support, release
from .tables import holds, table
from .text import say
from .wheels import EXACT

EngineName = Literal["transformers", "vllm", "sglang", "tensorrt-llm"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
"""The engines of `engines.csv`."""

OWN_LOADER = ("", "transformers")
"""Engines that load a model as transformers does, which is also meant where none is named; the others have implementations of their own."""

FORMATS = ("fp32", "fp16", "bf16", "fp8", "int8", "int4", "awq", "gptq", "bnb-int8", "bnb-4bit", "mxfp4", "nvfp4", "gguf")
"""The formats of `engines.csv`, in the order they are shown."""

QUANTISED = {
    "fp8": "fp8",
    "fbgemm_fp8": "fp8",
    "awq": "awq",
    "gptq": "gptq",
    "mxfp4": "mxfp4",
    "nvfp4": "nvfp4",
    "modelopt_fp4": "nvfp4",
    "gguf": "gguf",
}
"""`quant_method` of a config to the engines' word for it."""

PACKED = {
    "bitsandbytes": (("uint8", "bnb-4bit"), ("int8", "bnb-int8")),
    "compressed-tensors": (("uint8", "nvfp4"), ("float8_e4m3fn", "fp8"), ("int8", "int8"), ("int32", "int4")),
    "modelopt": (("uint8", "nvfp4"), ("float8_e4m3fn", "fp8")),
}
"""Methods that stand for several formats, and what tells them: the first of these dtypes that is stored. MXFP4 is stored as NVFP4 is."""

VENDORS = {"cuda": "NVIDIA", "rocm": "AMD", "mps": "Apple", "xpu": "Intel", "cpu": "CPU"}
"""Whose rows a place takes that does not say its vendor."""

COLUMN = {"fp8": "fp8_e4m3", "mxfp4": "fp4", "nvfp4": "fp4"}
"""The dtype column that an engine's format computes in, where its name differs."""

OWN = ("sdpa", "cudnn", "scaled_mm", "grouped_mm")
"""Kernels that come with torch itself."""

CONVERTED: tuple[Support, ...] = ("emulated", "none")
"""What a device says of a format that no kernel there can make native."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What one kernel does with one format on a place."""

    kernel: str
    dtype: str
    """As in `tables.DTYPES`."""
    outcome: Literal["native", "weight-only", "slow", "refused"]
    note: str
    message: str
    """What it says when it refuses or falls back; empty where that is not known."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What one engine does with a checkpoint's format on a place."""

    engine: str
    format: str
    """A dtype (`fp32`, `fp16`, `bf16`) or a quantisation (`fp8`, `awq`, `gptq`, `bnb-4bit`, `int4`, `nvfp4`, ...)."""
    outcome: Literal["native", "weight-only", "dequantised", "emulated", "refused"]
    note: str
    message: str
    """What it says when it refuses or falls back; empty where that is not known."""
    instead: str
    """What to do about it; empty where the table does not know."""
    auto: str
    """The dtype that the engine takes by itself for a checkpoint in this one where none is asked for; empty where it takes none."""
    source: str
    """The version that was read, and where."""


def kernels(place: Place, torch: tuple[int, ...] | None = None) -> tuple[Kernel, ...]:
    """
    Every kernel and format of which the table knows what happens on this place, in the table's order; what is not there is unknown.

    With a torch version, kernels that came later are `refused`. A format that the device itself converts is never `native`, but `slow`.
    """
    rows = [row for row in table("kernels") if _applies(row, place)]
    return tuple(_kernel(row, dtype, place, torch) for row in rows for dtype in row["dtypes"].split(";"))


def engine_row(engine: str, format: str, place: Place) -> Engine | None:
    """What the engine does with this format there; None where the table does not know."""
    return next((one for one in engine_rows(engine, place) if one.format == format), None)


def engine_rows(engine: str, place: Place) -> tuple[Engine, ...]:
    """What the engine does there with each format that the table knows; a format that the device itself converts is never `native`."""
    return tuple(_engine(row, place) for row in table("engines") if row["engine"] == engine and _applies(row, place))


def quantised_as(method: str, checkpoint: Checkpoint | None, quantised: Quantisation | None = None) -> str:
    """
    The engines' word for how a model is quantised; empty where nothing tells.

    By what its configuration says of it, else by the method's name and by what its weights are stored in.
    """
    if quantised and quantised.format:
        return quantised.format
    stored = {one.dtype for one in checkpoint.stored if one.role != "scales"} if checkpoint else set()
    return next((word for dtype, word in PACKED.get(method, ()) if dtype in stored), QUANTISED.get(method, ""))


def family_row(engine: str, model_type: str, format: str) -> dict[str, str] | None:
    """The row of `engine_families.csv` where an engine refuses a format to this family of models; `auto` is what it takes by itself then."""
    keys = (engine, model_type, format)
    return next((row for row in table("engine_families") if (row["engine"], row["model_type"], row["format"]) == keys), None)


def cpu_missing(dtype: str, version: tuple[int, ...]) -> tuple[dict[str, str], ...]:
    """The rows of `cpu_kernels.csv` for operators without a CPU kernel for fp16 or bf16 in this torch; the newest measured is 2.13."""
    return tuple(row for row in table("cpu_kernels") if row["dtype"] == dtype and holds(row, version))


def mps_limit(dtype: str, torch: tuple[int, ...], macos: int | None) -> dict[str, str] | None:
    """The row of `mps_limits.csv` that refuses this dtype; its `macos_before` says which macOS would lift it, and it holds where that is unknown."""
    rows = [row for row in table("mps_limits") if row["dtype"] == dtype and holds(row, torch)]
    return next((row for row in rows if macos is None or not row["macos_before"] or macos < int(row["macos_before"])), None)


def _kernel(row: dict[str, str], dtype: str, place: Place, torch: tuple[int, ...] | None) -> Kernel:
    source = f"{row['source']} ({row['date']})"
    if torch and row["torch_from"] and torch < release(row["torch_from"]):
        note = say("only since torch {version}", version=row["torch_from"])
        return Kernel(kernel=row["kernel"], dtype=dtype, outcome="refused", note=note, message="", source=source)
    outcome = "slow" if row["outcome"] == "native" and place.dtypes.of(dtype) in CONVERTED else row["outcome"]
    return Kernel(
        kernel=row["kernel"],
        dtype=dtype,
        outcome=outcome,  # type: ignore[arg-type]  # the suite checks the words
        note=row["note"],
        message=_filled(row["message"], place),
        source=source,
    )


def _engine(row: dict[str, str], place: Place) -> Engine:
    column = COLUMN.get(row["format"], row["format"])
    outcome = "emulated" if row["outcome"] == "native" and place.dtypes.of(column) in CONVERTED else row["outcome"]
    return Engine(
        engine=row["engine"],
        format=row["format"],
        outcome=outcome,  # type: ignore[arg-type]  # the suite checks the words
        note=row["note"],
        message=_filled(row["message"], place),
        instead="" if "float16" in row["instead"].replace("bfloat16", "") and place.dtypes.fp16 in CONVERTED else row["instead"],
        auto=row["auto"],
        source=f"{row['engine']} {row['versions']}: {row['source']} ({row['date']})",
    )


def _applies(row: dict[str, str], place: Place) -> bool:
    """
    Whether a row's vendor and `since` take in this place: an interval of compute capability for NVIDIA, names for the others.

    Nothing applies to a device that the tables do not know: an open interval would call the next generation native.
    """
    vendor = place.vendor or VENDORS.get(place.backend, "")
    if row["vendor"] != vendor or not _known(place):
        return False
    if place.kind == "target" and not place.backend:
        return False  # another accelerator of that vendor's: Gaudi is no GPU of Intel's
    if place.compute_capability in EXACT and not row.get("kernel", "").startswith(OWN):
        return False  # whether a library's own code was built for an integrated GPU no table tells
    if vendor != "NVIDIA":
        return not row["since"] or (place.gfx or place.architecture) in row["since"].split(";")
    capability = place.compute_capability
    return capability is not None and release(row["since"]) <= capability and (not row["before"] or capability < release(row["before"]))


@cache
def _known(place: Place) -> bool:
    """Whether the device itself has a row in `architectures.csv`, not only formats borrowed from an older one."""
    return any(row["id"] == place.identifier for row in table("architectures")) if place.identifier else place.dtypes.fp32 != "unknown"


def _filled(message: str, place: Place) -> str:
    """The message as it would be read there; other braces in it stay."""
    major, minor = place.compute_capability or (0, 0)
    for field, value in (("{title}", place.title), ("{capability}", f"{major}.{minor}"), ("{sm}", f"{major}{minor}")):
        message = message.replace(field, value)
    return message
