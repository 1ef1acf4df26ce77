"""The dtype flow of the model that was named: its real code on tensors without numbers, in a room of its own."""

from ..facts import Asked, Flow, Native
from ..probe import Absent, probe
from ..text import say


@probe(room="torch:flow", timeout=300, wants="model")
def flow(asked: Asked, native: Native) -> Flow:
    """None of a repository's own code is run unless the user said so; what this room imports and changes, no other sees."""
    if not native.known and not asked.trust_remote_code:
        raise Absent(say("transformers {version} does not know {model_type}", version=native.version, model_type=native.model_type))
    from ..flow import flow_of

    return flow_of(asked)
