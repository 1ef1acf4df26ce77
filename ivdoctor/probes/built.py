"""A model's weights counted on the architecture itself, built without data: the second way, where no arithmetic knows it."""

from ..facts import Anatomy, Asked, Checkpoint, Native
from ..probe import Absent, probe
from ..text import say


@probe(room="torch", timeout=120, wants="model", unless=(Anatomy, Checkpoint))
def built(asked: Asked, native: Native) -> Anatomy:
    """Takes seconds, for torch and transformers are imported; none of a repository's own code is run."""
    if not native.known:
        raise Absent(say("transformers {version} does not know {model_type}", version=native.version, model_type=native.model_type))
    from ..trials.meta import counted

    return counted(asked.model)
