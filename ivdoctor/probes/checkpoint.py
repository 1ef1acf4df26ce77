"""A model's stored weights, by the headers of their files."""

from ..facts import Asked, Checkpoint
from ..modelfiles import Nothing
from ..probe import Absent, probe
from ..text import say


@probe(timeout=120, wants="model")
def checkpoint(asked: Asked) -> Checkpoint:
    """Slow disks and hundreds of shards take their time; nothing is loaded."""
    if not asked.model:
        raise Absent(say("no model was named"))
    from ..modelfiles import folder_of, is_single, read_checkpoint, read_single

    try:
        return read_single(asked.model) if is_single(asked.model) else read_checkpoint(folder_of(asked.model))
    except Nothing as error:
        raise Absent(str(error)) from error
