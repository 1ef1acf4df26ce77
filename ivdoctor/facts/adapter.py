"""An adapter (PEFT): a small set of weights for another model."""

from dataclasses import dataclass

from .checkpoint import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What its configuration and the headers of its weights say. Empty text and 0: they do not say."""

    method: str
    """`peft_type`: LORA, IA3, ..."""
    base: str = ""
    """The model it belongs to, a repository's name or a folder's last name."""
    rank: int = 0
    stored: tuple[Stored, ...] = ()
    base_dtype: str = ""
    """torch's name of the dtype that most of the base's weights are stored in, where they are at hand."""
    base_quantization: str = ""
    """The base's `quant_method`, where its configuration is at hand."""
    merged: tuple[str, ...] = ()
    """Modules of the base that it saves whole (`modules_to_save`)."""
