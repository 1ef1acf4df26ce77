"""Ways out where a model's weights are larger than the memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from ..evidence import BARRED, Range
from ..facts import SHORT_NAME, TORCH_NAME, Asked, Cast, Checkpoint, Half, Host, Model, Packages, Place
from ..finding import Fix
from ..kernels import OWN_LOADER, engine_row, family_row
from ..lines import class_name, from_pretrained
from ..memory import SHARE, Weights, devices, held, room_of
from ..targets import target
from ..text import say
from ._remedies import caveat, elsewhere, range_of, untried
from ._weights import gib, smaller, torch_name

CARDS = ("Tesla T4", "L4", "GeForce RTX 5090", "L40S", "A100 SXM4 80GB", "H100 SXM5 80GB", "H200 SXM 141GB", "B200", "B300")
"""Well-known ones that are let by the hour, the smallest first."""

MOST_DEVICES = 64
"""More of one device than anybody puts together for one model."""

BITS = 4.5
"""Of a weight quantised to four, with the scales of its group: 4.25 to 4.56 by methods and groups of 128 and 64, bitsandbytes among them."""

KEEPS = ("native", "weight-only")

SINGLE = ("cpu", "mps")
"""Of these torch has one device, and nothing spreads a model over several."""

PARALLEL = {"vllm": "--tensor-parallel-size", "sglang": "--tp", "tensorrt-llm": "--tp_size"}
"""Source: the documentation of vllm serve, sglang's launch_server and trtllm-serve, which has no --dtype (2026-11-23)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """What does not fit, and where."""

    weights: Weights
    dtype: Half | Literal["auto"]
    """As `loaded_as` gives it."""
    place: Place
    asked: Asked
    model: Model | None
    checkpoint: Checkpoint | None
    packages: Packages | None
    cast: Cast | None
    host: Host | None
    format: str = ""
    """The engines' word for quantised weights; empty for plain ones."""
    expanded: bool = False
    """Whether the loader expands the packed weights: what holds them packed does not help then, and IVD311 says what does."""

    @property
    def needed(self) -> int:
        """Bytes."""
        return self.weights.loaded(self.dtype)

    @property
    def fp16(self) -> Range:
        """What is known of the model and float16's range."""
        return range_of(self.model, self.cast, self.asked)

    @property
    def runs(self) -> Half | Literal["auto"]:
        """The same, or what runs instead where the place has no bfloat16, or the model leaves float16's range."""
        native, barred = self.place.dtypes, self.fp16 in BARRED
        if self.dtype == "fp16" and barred:
            return "bf16" if native.bf16 == "native" else "fp32"
        if self.dtype != "bf16" or native.bf16 == "native" or self.place.backend == "cpu":
            return self.dtype
        return "fp16" if native.fp16 == "native" and not barred else "fp32"

    @property
    def written(self) -> str:
        """As a line of code names it; quantised weights are left to their configuration."""
        return '"auto"' if self.runs == "auto" or self.format else torch_name(self.runs)

    def taken(self, dtype: Half | Literal["auto"]) -> bool:
        """Whether the engine in question takes the weights in this format there, by what the tables know."""
        row = engine_row(self.asked.engine, self.format or dtype, self.place)
        family = family_row(self.asked.engine, self.model.model_type, dtype) if self.model else None
        return not family and not (row and row.outcome == "refused")

    def load(self, dtype: str, more: str = "") -> str:
        """The line that loads it."""
        return f"model = {from_pretrained(class_name(self.model, self.cast), 'path', dtype, self.packages, self.model, more=more)}"


def ways(short: Short) -> tuple[Fix, ...]:
    """Half the width first: it needs nothing else. Then the devices that are there, fewer bits, the host's memory, another card; what crawls there last."""
    halved, others = list(_halved(short)), [*_spread(short), *_fewer_bits(short), *_offload(short), _another(short)]
    crawls = smaller(short.weights, short.place, short.dtype) == "fp16" and short.place.dtypes.fp16 == "emulated" and short.place.backend != "cpu"
    return (*others, *halved) if crawls else (*halved, *others)


def _halved(short: Short) -> Iterator[Fix]:
    """Never to a float16 that the model leaves, nor to what the engine refuses there."""
    less, place, engine = smaller(short.weights, short.place, short.dtype), short.place, short.asked.engine
    if less is None or (less == "fp16" and short.fp16 in BARRED) or not short.taken(less):
        return
    size, served = gib(short.weights.loaded(less)), engine not in OWN_LOADER
    if served and not _dtype_flag(engine, less):
        return
    yield Fix(
        title=say("Load in {dtype}: {size}", dtype=torch_name(less), size=size) + caveat(less, place, short.fp16),
        kind="command" if served else "code",
        action="load-dtype",
        code="" if served else short.load(torch_name(less)),
        command=f"{_serve(engine)}{_dtype_flag(engine, less)}" if served else "",
        trial=untried(say("it is arithmetic: {size} of weights", size=size)),
    )


def _spread(short: Short) -> Iterator[Fix]:
    place, dtype = short.place, short.runs
    number = devices(short.weights.loaded(dtype), place)
    trial = untried(say("it is arithmetic, and leaves out what the layers pass on"))
    if short.expanded or number > MOST_DEVICES or place.backend in SINGLE or number < 2 or not short.taken(dtype):  # noqa: PLR2004  # one is not spread
        return
    title = say("Spread it over {number} of {title}, no fewer", number=number, title=place.title)
    if number <= place.count:
        title = say("Spread the layers over the {count} devices: {number} hold them", count=place.count, number=number)
    title += caveat(dtype, place, short.fp16) if dtype == "fp16" and short.dtype != "fp16" else ""
    if short.asked.engine in OWN_LOADER:
        yield Fix(title=title, action="device", code=short.load(short.written, ', device_map="auto"'), trial=trial)
    else:
        engine, by_itself = short.asked.engine, short.format or (short.asked.dtype == "auto" and dtype == short.dtype)
        command = f"{_serve(engine)} {PARALLEL[engine]} {_even(number)}{'' if by_itself else _dtype_flag(engine, dtype)}"
        yield Fix(title=title, kind="command", action="device", command=command, trial=trial)


def _even(number: int) -> int:
    """Heads are shared out evenly: the next power of two."""
    return 1 << (number - 1).bit_length()


def _dtype_flag(engine: str, dtype: Half | Literal["auto"]) -> str:
    """Empty for an engine whose server takes none."""
    return f" --dtype {TORCH_NAME[dtype]}" if engine in ("vllm", "sglang") and dtype != "auto" else ""


def _serve(engine: str) -> str:
    return {"vllm": "vllm serve PATH", "sglang": "python -m sglang.launch_server --model-path PATH"}.get(engine, "trtllm-serve PATH")


def _fewer_bits(short: Short) -> Iterator[Fix]:
    """Four bits, where the weights are plain and something there keeps such weights packed."""
    weights, place, engine = short.weights, short.place, short.asked.engine or "transformers"
    size = int(weights.parameters * BITS / 8)
    if weights.packed or not weights.stored or not place.memory_mib or size > SHARE * place.memory_mib * 2**20 * place.count:
        return
    rows = {format: engine_row(engine, format, place) for format in ("bnb-4bit", "awq", "gptq")}
    barred = short.fp16 in BARRED
    keeps = [format for format, row in rows.items() if row and row.outcome in KEEPS and not (barred and format == "awq" and engine in OWN_LOADER)]
    if engine not in OWN_LOADER and barred and place.dtypes.bf16 != "native":
        return  # it would compute in float16
    trial = elsewhere(place, say("it is arithmetic: about {size} of weights", size=gib(size)))
    if "bnb-4bit" in keeps and engine in OWN_LOADER:
        half = _computed(short)
        more = f", quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype={torch_name(half)})"
        title = say("Quantise it to four bits when loading: about {size}; its output changes a little", size=gib(size))
        yield Fix(
            title=title + (caveat(half, place, short.fp16) if half == "fp16" else ""),
            action="other",
            code=f"from transformers import BitsAndBytesConfig\n\n{short.load(torch_name(half), more)}",
            trial=trial,
        )
    elif keeps:
        title = say("Take a checkpoint of it in four bits ({formats}): about {size}", formats=", ".join(keeps), size=gib(size))
        yield Fix(title=title, kind="hardware", action="other", trial=trial)


def _computed(short: Short) -> Half:
    """What the packed weights are computed in: a half format that is native and that the model survives."""
    if short.place.dtypes.bf16 == "native":
        return "bf16"
    return "fp16" if short.place.dtypes.fp16 == "native" and short.fp16 not in BARRED else "fp32"


def _offload(short: Short) -> Iterator[Fix]:
    """What does not fit goes to the host's memory, of a machine that is here and has it."""
    place, host = short.place, short.host
    if host is None or short.expanded or place.kind in ("target", "cpu", "mps") or short.asked.engine not in OWN_LOADER:
        return
    if short.needed <= SHARE * (place.memory_mib * place.count + host.memory_mib) * 2**20:
        yield Fix(
            title=say("Leave what does not fit in the host's memory ({size}): it runs, many times slower", size=gib(host.memory_mib * 2**20)),
            action="device",
            code=short.load(short.written, ', device_map="auto"'),
            trial=untried(say("it is arithmetic")),
        )


def _another(short: Short) -> Fix:
    trial = untried(say("which of them is there ivdoctor does not know"))
    card = next((one for one in map(target, CARDS) if _holds(one, short)), None)
    if card is None:
        return Fix(title=say("Take a checkpoint of fewer bits, or more memory"), kind="hardware", action="device", trial=trial)
    size = f"{card.memory_mib / 1024:g}"
    title = say("Take a checkpoint of fewer bits, or a larger device: {card} ({memory} GB) holds it", card=card.title, memory=size)
    return Fix(title=title, kind="hardware", action="device", trial=trial)


def _holds(card: Place, short: Short) -> bool:
    """Whether one of them has the memory for what becomes of the weights there, and computes natively in the format that is meant."""
    dtype = SHORT_NAME.get(short.model.dtype if short.model else "") if short.dtype == "auto" else short.dtype
    native = dtype in (None, "fp32") or card.dtypes.of(dtype) == "native"
    there = replace(short, place=card)
    needed = held(short.weights, card, short.asked, model=short.model, checkpoint=short.checkpoint, packages=short.packages)
    return native and there.taken(short.dtype) and needed <= room_of(card)
