"""The user's own architecture made small, with random weights, and really run on the CPU with each remedy."""

from ..facts import Asked, Flow, Miniature
from ..probe import probe


@probe(room="torch:miniature", timeout=300, wants="model")
def miniature(asked: Asked, flow: Flow) -> Miniature:
    """In a room of its own, as the flow is."""
    from ..flow.miniature import miniature_of

    return miniature_of(asked, flow)
