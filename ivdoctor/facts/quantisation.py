"""How a model's weights are quantised, by its configuration."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantisation:
    """What `quantization_config` says. Empty text and 0: it does not say."""

    method: str
    """`quant_method` as it is written; `unknown` where there is none."""
    dialect: str = ""
    """What the method calls this kind: `pack-quantized`, `float-quantized`, `nf4`, `gemm`."""
    format: str = ""
    """The engines' word for it, of `kernels.FORMATS`: `fp8`, `int4`, `awq`, `bnb-4bit`; empty where none fits."""
    bits: int = 0
    """Of a weight."""
    group: int = 0
    """Weights that share a scale; 0 where it is per channel, per tensor, or in blocks."""
    block: tuple[int, int] | None = None
    """Rows and columns that share a scale."""
    symmetric: bool = True
    """Whether there are no zero points."""
    storage: str = ""
    """torch's name of the dtype that the weights are packed in: `int32`, `uint8`, `float8_e4m3fn`."""
    compute: str = ""
    """torch's name of the dtype that the configuration wants computed in; empty: the model's own."""
    activations: str = ""
    """What activations are quantised to: `fp8`, `int8`; empty for weights alone."""
    ignored: tuple[str, ...] = ()
    """Modules that are left as they are: names, or regular expressions after `re:`."""
    targets: tuple[str, ...] = ()
    """Classes or names of modules that are quantised; empty: every linear layer."""
    kv_cache: str = ""
    """What the key/value cache is quantised to; empty where it is not."""
