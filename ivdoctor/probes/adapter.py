"""An adapter (PEFT), its weights, and its base where that is on this machine."""

import os

from ..facts import Adapter, Asked
from ..modelfiles import Nothing
from ..modelfiles.config import ADAPTER_CONFIG, CONFIG
from ..modelfiles.reading import is_folder
from ..probe import Absent, probe
from ..text import say


@probe(timeout=120, wants="model")
def adapter(asked: Asked) -> Adapter:
    """A base of hundreds of shards takes its time; nothing is loaded, and nothing is asked of the network."""
    if not asked.model:
        raise Absent(say("no model was named"))
    named = os.path.basename(asked.model) in (ADAPTER_CONFIG, CONFIG)
    folder = os.path.dirname(asked.model) or os.curdir if named else asked.model
    try:
        return _read(folder)
    except Nothing as error:
        raise Absent(say("no adapter: {reason}", reason=error)) from error


def _read(folder: str) -> Adapter:
    """Most models are no adapter, and the reader's imports are a tenth of judging a configuration."""
    if not is_folder(folder):
        raise Nothing(say("only a configuration was named, and no folder with weights"))
    if not os.path.lexists(os.path.join(folder, ADAPTER_CONFIG)):
        raise Nothing(say("{file}: not there", file=ADAPTER_CONFIG))
    from ..modelfiles.adapter import read_adapter

    return read_adapter(folder)
