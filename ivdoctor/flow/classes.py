"""Which classes of transformers a type of model has, the one that is most likely meant first."""

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

KINDS = (
    "IMAGE_TEXT_TO_TEXT",
    "SPEECH_SEQ_2_SEQ",
    "MULTIMODAL_LM",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "TEXT_TO_SPECTROGRAM",
    "TEXT_TO_WAVEFORM",
    "CTC",
    "RNNT",
    "TDT",
    "MASKED_LM",
    "CAUSAL_LM",
    "PRETRAINING",
    "OBJECT_DETECTION",
    "ZERO_SHOT_OBJECT_DETECTION",
    "UNIVERSAL_SEGMENTATION",
    "SEMANTIC_SEGMENTATION",
    "INSTANCE_SEGMENTATION",
    "MASK_GENERATION",
    "IMAGE_SEGMENTATION",
    "DEPTH_ESTIMATION",
    "NORMAL_ESTIMATION",
    "POINTMAP_ESTIMATION",
    "POSE_ESTIMATION",
    "KEYPOINT_MATCHING",
    "KEYPOINT_DETECTION",
    "IMAGE_TO_IMAGE",
    "IMAGE_MATTING",
    "TABLE_RECOGNITION",
    "TEXT_RECOGNITION",
    "ZERO_SHOT_IMAGE_CLASSIFICATION",
    "VIDEO_CLASSIFICATION",
    "IMAGE_CLASSIFICATION",
    "RETRIEVAL",
    "DOCUMENT_QUESTION_ANSWERING",
    "TABLE_QUESTION_ANSWERING",
    "VISUAL_QUESTION_ANSWERING",
    "AUDIO_CLASSIFICATION",
    "DECISION",
    "TIME_SERIES_PREDICTION",
    "SEQUENCE_CLASSIFICATION",
    "TOKEN_CLASSIFICATION",
    "QUESTION_ANSWERING",
)
"""transformers' tables of heads in the order in which they are asked; the bare model comes after them, and then the other heads."""

BASE = "MODEL_MAPPING_NAMES"


def classes_of(model_type: str, architectures: Sequence[str] = ()) -> list[type]:
    """The classes named in the config, those with a head, the bare model, heads that are rare; each once, with a forward pass, and importable here."""
    import transformers
    from torch import nn
    from transformers.models.auto import modeling_auto

    names = dict.fromkeys([*architectures, *_named(modeling_auto, model_type)])
    found: list[type] = []
    for name in names:
        with contextlib.suppress(ImportError, AttributeError, RuntimeError):  # it wants another library
            cls = getattr(transformers, name)
            if inspect.isclass(cls) and getattr(cls, "forward", nn.Module.forward) is not nn.Module.forward and not hasattr(cls, "_backends"):
                found.append(cls)
    return found


def _named(library: Any, model_type: str) -> Iterator[str]:
    """By the tables of the installed release."""
    first = [f"MODEL_FOR_{kind}_MAPPING_NAMES" for kind in KINDS]
    rest = sorted(name for name in dir(library) if name.startswith("MODEL_FOR_") and name.endswith("_MAPPING_NAMES") and name not in first)
    for mapping in (*first, BASE, *rest):
        value = getattr(library, mapping, {}).get(model_type, ())
        yield from [value] if isinstance(value, str) else value
