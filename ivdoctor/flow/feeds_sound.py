"""Waves and their spectra; the text with places for them is in feeds_spoken."""

import inspect
import math
from collections.abc import Iterator
from typing import Any

import torch

from .feeds_text import started
from .sizes import first_of, number, parts, size

Feed = dict[str, Any]

MELS = (
    "num_mel_bins",
    "n_mels",
    "input_feat_per_channel",
    "feature_projection_input_dim",
    "num_mel_features",
    "input_feat_size",
    "input_dim",
    "feature_size",
)
"""How configurations name the number of bands of a spectrum."""

SPECTRA = ("input_features", "audio_mel", "audio_input_features", "audio_features")
WAVES = ("input_values", "audio_values")
MASKS = ("input_features_mask", "feature_attention_mask", "audio_mel_mask", "padding_mask", "attention_mask")
HIDDEN = ("audio_mel_mask",)
"""Masks in which True is padding."""

SAMPLES = 9600
"""Of a wave: a fifth of a second and more at every rate, and a multiple of the strides of codecs."""

STACKED = {"granite_speech5_encoder": 4}
"""Frames in a row, by type, where no key says how many."""

TIMES = (128, 400, 3000)
"""Frames of a spectrum."""

UPRIGHT = ("whisper", "qwen2_audio", "voxtral", "audioflamingo3", "musicflamingo", "glmasr", "moss_transcribe_diarize", "qwen3_asr")
"""Types, by how their names begin, whose spectra are bands x time."""


def sounds(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """A wave, or its spectrum either way round, and the first tokens of a decoder."""
    for feed in heard(model, config, takes):
        start = started(config, takes)
        yield {**feed, **start}
        if start:
            yield feed


def heard(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """The sound itself, with its mask where one must be given, or is usual."""
    wave = next((one for one in WAVES if one in takes), "")
    spectrum = next((one for one in SPECTRA if one in takes), "")
    if wave and spectrum:
        time = SAMPLES // math.prod(first_of(config, "downsampling_ratios") or [320])
        both = {wave: torch.randn(1, 1, SAMPLES), spectrum: torch.randn(1, time, _bands(config))}
        yield {**both, **_masked(model, takes, SAMPLES, time)}
    for feed in _waves(wave, config) if wave else ():
        if "padding_mask" in takes and "input_ids" in takes:
            yield {**feed, "padding_mask": _mask("padding_mask", feed[wave].shape[-1])}
        yield {**feed, **_masked(model, takes, feed[wave].shape[-1])}
    for feed, time in _spectra(spectrum, config) if spectrum else ():
        yield from masks(model, takes, feed, time)


def _waves(name: str, config: Any) -> Iterator[Feed]:
    """Samples, with or without a channel; patches of a spectrum for those that name its length."""
    bands = first_of(config, "num_mel_bins")
    if isinstance(bands, int) and hasattr(config, "max_length") and hasattr(config, "frequency_stride"):
        yield {name: torch.randn(1, number(config.max_length, 1024), bands)}
    flat, channel = {name: torch.randn(1, SAMPLES)}, {name: torch.randn(1, 1, SAMPLES)}
    yield from (channel, flat) if _codec(config) else (flat, channel)
    yield {name: torch.randn(1, 1, 5 * SAMPLES)}


def _codec(config: Any) -> bool:
    names = ("codebook_size", "upsampling_ratios", "downsampling_ratios", "dac_config", "patch_sizes", "codec_config")
    return any(hasattr(part, name) for part in parts(config) for name in names)


def _spectra(name: str, config: Any) -> Iterator[tuple[Feed, int]]:
    """Time x bands or bands x time, and how much time that is."""
    bands = _bands(config)
    upright = str(getattr(config, "model_type", "")).startswith(UPRIGHT)
    positions = size(config, 0, "max_source_positions")
    full = 2 * positions if positions else TIMES[-1]
    tall = [((1, bands, time), time) for time in dict.fromkeys((full, *TIMES))]
    long = [((1, time, bands), time) for time in TIMES]
    first, second = (tall, long) if upright else (long, tall)
    more = [((1, TIMES[0], other), TIMES[0]) for other in (80, 128, 160, 320) if other != bands]
    for shape, time in (*first[:1], *second[:1], *first[1:], *second[1:], *more):
        yield {name: torch.randn(*shape)}, time


def _bands(config: Any) -> int:
    """Of a spectrum, with those of its neighbours in time that are stacked upon it."""
    stacked = size(config, 1, "num_stacked_frames")
    for kind, frames in STACKED.items():
        if any(str(getattr(part, "model_type", "")) == kind for part in parts(config)):
            stacked = frames
    return stacked * size(config, 128, *MELS)


def masks(model: Any, takes: set[str], feed: Feed, time: int) -> Iterator[Feed]:
    """With the mask that its feature extractor gives, then without."""
    full = {**feed, **_masked(model, takes, time)}
    usual = [one for one in MASKS if one in takes and one != "attention_mask"]
    if "attention_mask" in takes and "input_ids" not in takes and "decoder_input_ids" not in takes:
        usual.append("attention_mask")
    if usual:
        yield full | {one: _mask(one, time) for one in usual}
    yield full


def _masked(model: Any, takes: set[str], *times: int) -> Feed:
    """Masks that must be given: the first of a wave, the next of a spectrum."""
    needed = [name for name, one in inspect.signature(model.forward).parameters.items() if one.default is inspect.Parameter.empty]
    names = [one for one in MASKS if one in takes and (one in needed or len(times) > 1)]
    if len(times) > 1:
        return {one: _mask(one, times[1] if "features" in one else times[0]) for one in names if one != "attention_mask"}
    return {one: _mask(one, times[0]) for one in names}


def _mask(name: str, time: int) -> torch.Tensor:
    if name in HIDDEN:
        return torch.zeros(1, time, dtype=torch.bool)
    return torch.ones(1, time, dtype=torch.long)
