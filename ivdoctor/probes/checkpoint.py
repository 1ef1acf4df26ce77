"""A model's stored weights, by the headers of their files."""

import os

from ..facts import Asked, Checkpoint
from ..modelfiles import Nothing, folder_of
from ..probe import Absent, probe
from ..text import say

WEIGHTS = (".gguf", ".safetensors")


@probe(timeout=120, wants="model")
def checkpoint(asked: Asked) -> Checkpoint:
    """Slow disks and hundreds of shards take their time; nothing is loaded."""
    if not asked.model:
        raise Absent(say("no model was named"))
    single = asked.model.lower().endswith(WEIGHTS) and not os.path.isdir(asked.model)
    try:
        folder = "" if single else folder_of(asked.model)
        from ..modelfiles import read_checkpoint, read_single  # a configuration by itself does not pay for the readers

        return read_single(asked.model) if single else read_checkpoint(folder)
    except Nothing as error:
        raise Absent(str(error)) from error
