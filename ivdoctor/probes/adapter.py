"""An adapter (PEFT), its weights, and its base where that is on this machine."""

import os

from ..facts import Adapter, Asked
from ..modelfiles import Nothing, folder_of
from ..modelfiles.adapter import CONFIG, read_adapter
from ..probe import Absent, probe
from ..text import say


@probe(timeout=120, wants="model")
def adapter(asked: Asked) -> Adapter:
    """A base of hundreds of shards takes its time; nothing is loaded, and nothing is asked of the network."""
    if not asked.model:
        raise Absent(say("no model was named"))
    try:
        folder = os.path.dirname(asked.model) or os.curdir if os.path.basename(asked.model) == CONFIG else folder_of(asked.model)
        return read_adapter(folder)
    except Nothing as error:
        raise Absent(say("no adapter: {reason}", reason=error)) from error
