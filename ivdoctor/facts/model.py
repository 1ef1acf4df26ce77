"""A model's configuration, read from its files; nothing is loaded or run."""

from dataclasses import dataclass

from .cache import Cache
from .quantisation import Quantisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What `config.json` says. Empty text and 0: it does not say."""

    name: str
    """The folder's own name, without the path; the repository's where the folder is a snapshot in the cache of huggingface_hub."""
    model_type: str = ""
    architectures: tuple[str, ...] = ()
    dtype: str = ""
    """torch's name of the dtype it was saved in, by `dtype` or `torch_dtype`, the model's own before its parts'."""
    remote_code: bool = False
    """Whether it names code of its own repository (`auto_map`)."""
    code: tuple[str, ...] = ()
    """Modules of that code: `modeling_internvl_chat_hico2`."""
    quantization: str = ""
    """`quant_method` of its quantization_config; `unknown` where that names none."""
    quantised: Quantisation | None = None
    """The rest of its quantization_config."""
    hidden_size: int = 0
    layers: int = 0
    head_dim: int = 0
    """Of a query: what is rotated and what is not together."""
    rope_theta: float = 0.0
    context: int = 0
    """`max_position_embeddings`."""
    vocabulary: int = 0
    cache: Cache | None = None
    """What it keeps of every token; None where the configuration does not say."""
    tied: bool | None = None
    """`tie_word_embeddings`; None where the configuration does not say."""
