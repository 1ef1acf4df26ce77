"""The dtype-flow engine: a model's real code on tensors that have a dtype and a shape and no numbers."""

from ..facts import Asked, Flow


def flow_of(asked: Asked) -> Flow:
    """
    All cells of the model that was named; imports torch and transformers.

    Raises:
        Absent: it could not be carried through even in fp32, in one line.
    """
    from .whole import whole

    return whole(asked)
