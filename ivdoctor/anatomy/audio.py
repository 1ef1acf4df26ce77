"""Towers that hear."""

from ..text import say
from .sizes import Sizes
from .weight import Module, Unknown


def glmasr(module: Module, sizes: Sizes) -> None:
    """GLM-ASR's encoder: Whisper's convolutions, rotated positions; keys have no bias."""
    hidden, inner, heads = sizes.size("hidden_size"), sizes.size("intermediate_size"), sizes.size("num_attention_heads")
    width = sizes.maybe("head_dim") or hidden // heads
    groups = sizes.maybe("num_key_value_heads") or heads
    module.conv("conv1", sizes.size("num_mel_bins"), hidden, 3)
    module.conv("conv2", hidden, hidden, 3)
    for layer in range(sizes.layers()):
        inside = module.at(f"layers.{layer}")
        inside.linear("self_attn.q_proj", hidden, heads * width, bias=True)
        inside.linear("self_attn.k_proj", hidden, groups * width)
        inside.linear("self_attn.v_proj", hidden, groups * width, bias=True)
        inside.linear("self_attn.o_proj", heads * width, hidden, bias=True)
        inside.linear("mlp.fc1", hidden, inner, bias=True)
        inside.linear("mlp.fc2", inner, hidden, bias=True)
        inside.norm("input_layernorm", hidden, bias=True)
        inside.norm("post_attention_layernorm", hidden, bias=True)
    module.norm("norm", hidden, bias=True)


def whisper_encoder(module: Module, sizes: Sizes) -> None:
    """Its positions are stored, although they are sines."""
    hidden = sizes.size("d_model")
    module.conv("conv1", sizes.size("num_mel_bins"), hidden, 3)
    module.conv("conv2", hidden, hidden, 3)
    module.embedding("embed_positions", sizes.size("max_source_positions"), hidden)
    for layer in range(sizes.layers("encoder_layers")):
        whisper_layer(module.at(f"layers.{layer}"), hidden, sizes.size("encoder_ffn_dim"), crossed=False)
    module.norm("layer_norm", hidden, bias=True)


def whisper_decoder(module: Module, sizes: Sizes) -> None:
    """Without the head, which the embedding is."""
    hidden = sizes.size("d_model")
    module.embedding("embed_tokens", sizes.size("vocab_size"), hidden)
    module.embedding("embed_positions", sizes.size("max_target_positions"), hidden)
    for layer in range(sizes.layers("decoder_layers")):
        whisper_layer(module.at(f"layers.{layer}"), hidden, sizes.size("decoder_ffn_dim"), crossed=True)
    module.norm("layer_norm", hidden, bias=True)


def whisper_layer(module: Module, hidden: int, inner: int, *, crossed: bool) -> None:
    """Keys have no bias."""
    for name in ("self_attn", "encoder_attn") if crossed else ("self_attn",):
        inside = module.at(name)
        inside.linear("k_proj", hidden, hidden)
        for other in ("v_proj", "q_proj", "out_proj"):
            inside.linear(other, hidden, hidden, bias=True)
        module.norm(f"{name}_layer_norm", hidden, bias=True)
    module.linear("fc1", hidden, inner, bias=True)
    module.linear("fc2", inner, hidden, bias=True)
    module.norm("final_layer_norm", hidden, bias=True)


def wav2vec2(module: Module, sizes: Sizes) -> None:
    """From the waveform itself."""
    if sizes.get("adapter_attn_dim") is not None or sizes.flag("add_adapter"):
        raise Unknown(say("its adapters are not counted"))
    hidden, inner, widths = sizes.size("hidden_size"), sizes.size("intermediate_size"), sizes.numbers("conv_dim")
    _waveform(module, sizes, widths)
    if sizes.chance("mask_time_prob") or sizes.chance("mask_feature_prob"):
        module.own("masked_spec_embed", hidden)
    module.norm("feature_projection.layer_norm", widths[-1], bias=True)
    module.linear("feature_projection.projection", widths[-1], hidden, bias=True)
    kernel = sizes.size("num_conv_pos_embeddings")
    module.own("encoder.pos_conv_embed.conv.bias", hidden)
    module.own("encoder.pos_conv_embed.conv.parametrizations.weight.original0", 1, 1, kernel)
    module.own("encoder.pos_conv_embed.conv.parametrizations.weight.original1", hidden, hidden // sizes.size("num_conv_pos_embedding_groups"), kernel)
    module.norm("encoder.layer_norm", hidden, bias=True)
    for layer in range(sizes.layers()):
        inside = module.at(f"encoder.layers.{layer}")
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            inside.linear(f"attention.{name}", hidden, hidden, bias=True)
        inside.norm("layer_norm", hidden, bias=True)
        inside.linear("feed_forward.intermediate_dense", hidden, inner, bias=True)
        inside.linear("feed_forward.output_dense", inner, hidden, bias=True)
        inside.norm("final_layer_norm", hidden, bias=True)


def _waveform(module: Module, sizes: Sizes, widths: tuple[int, ...]) -> None:
    kernels, kind = sizes.numbers("conv_kernel"), sizes.word("feat_extract_norm")
    if kind not in ("group", "layer") or not len(widths) == len(kernels) > 0:
        raise Unknown(say("its configuration's {field} is not known to ivdoctor", field="feat_extract_norm"))
    for index, (width, kernel) in enumerate(zip(widths, kernels, strict=True)):
        inside = module.at(f"feature_extractor.conv_layers.{index}")
        inside.conv("conv", widths[index - 1] if index else 1, width, kernel, bias=sizes.flag("conv_bias"))
        if kind == "layer" or not index:
            inside.norm("layer_norm", width, bias=True)
