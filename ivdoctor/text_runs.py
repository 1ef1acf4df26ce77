"""In which formats a language model was run, by its type: models that take ids, where no input can be of another dtype. Pure."""

from .facts import Half
from .tables import table


def ran_with(model_type: str, dtype: Half) -> str:
    """The transformers with which a tiny model of this type ran in the format, loaded in it; empty where none did."""
    row = next((row for row in table("text_runs") if row["model_type"] == model_type), None)
    return row["transformers"] if row and row[dtype] == "ran" else ""
