"""What a checkpoint of a configuration holds, counted without any file of weights."""

from ..anatomy import Unknown, laid_out, weights
from ..facts import Anatomy, Asked, Stored
from ..modelfiles import Nothing, name_of, read_config
from ..modelfiles.parts import VOCABULARY, Config, count_of, dtype_of, main_part, parts_of, quantised_by, text_of
from ..probe import Absent, probe
from ..systems import system_named
from ..text import say


@probe(wants="model")
def anatomy(asked: Asked) -> Anatomy:
    """Where the architecture is not known there is no figure, rather than a guess."""
    if not asked.model:
        raise Absent(say("no model was named"))
    if asked.model.lower().endswith(".gguf"):
        raise Absent(say("the file of weights says itself what it holds"))
    try:
        config = read_config(asked.model)
    except Nothing as error:
        raise Absent(str(error)) from error
    parts = parts_of(config)
    main = main_part(parts)
    writes = [main] if count_of(main, VOCABULARY) else []
    dtype = next(filter(None, map(dtype_of, [config, *writes, *parts])), "")
    quantised = quantised_by([config, main])
    nested = any(
        isinstance(block := part.get("quantization_config"), dict) and block.get("bnb_4bit_use_double_quant") is True for part in (config, main)
    )
    try:
        return Anatomy(how="arithmetic", stored=laid_out(weights(config), dtype, quantised, nested=nested))
    except Unknown as error:
        return _published(config, name_of(asked.model), str(error))


def _published(config: Config, name: str, reason: str) -> Anatomy:
    """What its makers say of a model whose layers nobody knows."""
    system = system_named(text_of(config.get("model_type")), name)
    if system is None or not (system.parameters and system.bytes):
        raise Absent(reason)
    stored = Stored(dtype=system.stored, tensors=0, parameters=system.parameters, bytes=system.bytes)
    return Anatomy(how="published", stored=(stored,), source=system.source)
