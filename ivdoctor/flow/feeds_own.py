"""Families whose inputs are like no other's: by `model_type`, what is tried before the usual."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from .feeds_sound import SAMPLES
from .feeds_text import LENGTH, cached, masked, tokens
from .sizes import first_of, size

Feed = dict[str, Any]
Maker = Callable[[Any, Any, set[str]], Iterator[Feed]]


def episode(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """A few steps of a game."""
    state, act = size(config, 17, "state_dim"), size(config, 4, "act_dim")
    yield {
        "states": torch.randn(1, LENGTH, state),
        "actions": torch.randn(1, LENGTH, act),
        "rewards": torch.randn(1, LENGTH, 1),
        "returns_to_go": torch.randn(1, LENGTH, 1),
        "timesteps": torch.arange(LENGTH)[None],
        "attention_mask": torch.ones(1, LENGTH, dtype=torch.long),
    }


def series(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """A series as long as the context and the longest lag ask for, its times and its static features."""
    past = size(config, 24, "context_length") + max(getattr(config, "lags_sequence", None) or [0])
    ahead = size(config, 24, "prediction_length")
    width = size(config, 1, "input_size")
    values: tuple[int, ...] = (1, past) if width == 1 else (1, past, width)
    times = size(config, 0, "num_time_features")
    feed = {
        "past_values": torch.randn(*values),
        "past_time_features": torch.randn(1, past, times),
        "past_observed_mask": torch.ones(*values),
        "future_values": torch.randn(1, ahead, *values[2:]),
        "future_time_features": torch.randn(1, ahead, times),
    }
    reals, kinds = size(config, 0, "num_static_real_features"), size(config, 0, "num_static_categorical_features")
    feed |= {"static_real_features": torch.randn(1, reals)} if reals else {}
    feed |= {"static_categorical_features": torch.zeros(1, kinds, dtype=torch.long)} if kinds else {}
    yield feed


def patches(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """A series of several channels."""
    yield {"past_values": torch.randn(1, size(config, 32, "context_length"), size(config, 1, "num_input_channels"))}


def forecast(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """Series of one channel, in a list."""
    yield {"past_values": [torch.randn(size(config, 512, "context_length"))], "freq": [0]}


def queries(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """Learnt queries and what a tower saw."""
    wide = size(config, 1408, "encoder_hidden_size")
    yield {"query_embeds": torch.randn(1, LENGTH, size(config, 768, "hidden_size")), "encoder_hidden_states": torch.randn(1, 2 * LENGTH, wide)}


def regions(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """Words, and regions of a picture that a detector has found."""
    seen, where = size(config, 2048, "visual_feat_dim"), size(config, 4, "visual_pos_dim")
    yield {**masked(tokens(config)), "visual_feats": torch.randn(1, LENGTH, seen), "visual_pos": torch.rand(1, LENGTH, where)}


def questions(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """A sentence with the token that asks."""
    ids = tokens(config)
    ids[0, 2] = size(config, 104, "question_token_id")
    yield masked(ids)


def protein(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """A question, and the protein it is about."""
    ids = torch.tensor([[0, 5, 6, 7, 8, 9, 10, 2]])
    yield {**masked(tokens(config)), "protein_input_ids": ids, "protein_attention_mask": torch.ones_like(ids), **cached(model, takes)}


def codebooks(*names: str) -> Maker:
    """Ids with a row of codebooks for every place; the first names them, the others the number of codebooks."""

    def make(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
        count = size(config, 8, *names) + 1
        ids = torch.ones(1, LENGTH, count, dtype=torch.long)
        yield {"input_ids": ids, "attention_mask": torch.ones(1, LENGTH, dtype=torch.long)}

    return make


def channels(model: Any, config: Any, takes: set[str]) -> Iterator[Feed]:
    """Text, and codes of a sound with a channel for every codebook."""
    ids = tokens(config)
    codes = size(config, 9, "num_channels")
    yield {**masked(ids), "decoder_input_ids": torch.ones(1, LENGTH, codes, dtype=torch.long), **cached(model, takes)}


def composed(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """Text, and a row for each codebook of the sound that is made of it."""
    books = size(config, 4, "num_codebooks")
    yield {**masked(tokens(config)), "decoder_input_ids": torch.ones(books, LENGTH, dtype=torch.long)}


def conditioned(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """Text, and the voice it is to be said with."""
    yield {**masked(tokens(config)), "input_features": torch.randn(1, size(config, 80, "feature_size"), 128)}


def fused(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """Text, and a spectrum of the size that the tower folds."""
    side, bands = size(config, 256, "spec_size"), size(config, 64, "num_mel_bins")
    spectrum = {"input_features": torch.randn(1, 1, side * (side // bands), bands), "is_longer": torch.tensor([[False]])}
    yield {**masked(tokens(config)), **spectrum}


def latents(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """What a codec has made of a wave."""
    for width in (size(config, 512, "hidden_size"), size(config, 32, "latent_dim")):
        yield {"latents": torch.randn(1, width, LENGTH)}
        yield {"latents": torch.randn(1, LENGTH, width)}


def noised(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """Noise in the place of a draft, and what the bigger model has seen."""
    width, layers = size(config, 64, "hidden_size"), len(getattr(config, "target_layer_ids", ()) or ())
    for wide in (width * layers, width):
        yield {"noise_embeds": torch.randn(1, LENGTH, width), "context_hidden_states": torch.randn(1, 2 * LENGTH, wide)}


def transduced(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """A spectrum, and the token before."""
    bands = size(config, 80, "num_mel_bins")
    feed = {"input_features": torch.randn(1, 128, bands), "attention_mask": torch.ones(1, 128, dtype=torch.long)}
    yield {**feed, "decoder_input_ids": torch.tensor([[1]])}


def cut(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """A wave, where it ends, and text with as many places as its codes."""
    frames = SAMPLES // (2 * math.prod(first_of(config, "upsampling_ratios") or [960]))  # the codec strides once more than it says
    ids = torch.tensor([[4, 5, *[size(config, 11, "audio_token_id")] * frames, 6]])
    wave = {"input_values": torch.randn(1, 1, SAMPLES), "input_values_cutoffs": torch.tensor([[SAMPLES]])}
    yield {**masked(ids), **wave}


def streamed(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """A token for every so many frames of a spectrum."""
    frames = 128
    ids = tokens(config, frames // size(config, 8, "audio_length_per_tok"))
    yield {**masked(ids), "input_features": torch.randn(1, size(config, 128, "num_mel_bins"), frames)}


def coded(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """Codes of a wave under the name of what a layer passes on."""
    yield {"hidden_states": torch.randn(1, size(config, 64, "hidden_size"), LENGTH)}


def waved(_: Any, config: Any, __: set[str]) -> Iterator[Feed]:
    """A wave under the name of what a layer passes on."""
    yield {"hidden_states": torch.randn(1, size(config, 1, "channels"), SAMPLES)}


FAMILIES: dict[str, Maker] = {
    "autoformer": series,
    "blip_2_qformer": queries,
    "clap": fused,
    "clvp": conditioned,
    "csm": cut,
    "decision_transformer": episode,
    "dia": channels,
    "evolla": protein,
    "EvollaModel": protein,
    "informer": series,
    "kyutai_speech_to_text": codebooks("num_codebooks"),
    "lxmert": regions,
    "mimi_decoder": latents,
    "muse_glimmer_assistant": noised,
    "musicgen": composed,
    "musicgen_melody": composed,
    "nemotron3_5_asr": transduced,
    "nemotron_asr_streaming": transduced,
    "parakeet_rnnt": transduced,
    "parakeet_tdt": transduced,
    "patchtsmixer": patches,
    "patchtst": patches,
    "pocket_tts_audio_tokenizer_decoder": latents,
    "splinter": questions,
    "time_series_transformer": series,
    "timesfm": forecast,
    "timesfm2_5": forecast,
    "vibevoice_acoustic_tokenizer_decoder": coded,
    "vibevoice_acoustic_tokenizer_encoder": waved,
    "voxtral_realtime": streamed,
}
