"""Models that read with one half and write with the other."""

from ..text import say
from .audio import whisper_decoder, whisper_encoder
from .sizes import Sizes
from .weight import Module, Unknown


def whisper(module: Module, sizes: Sizes) -> None:
    """Without the head, which the decoder's embedding is."""
    whisper_encoder(module.at("encoder"), sizes)
    whisper_decoder(module.at("decoder"), sizes)


def t5(module: Module, sizes: Sizes) -> None:
    """Without the head, which is the shared embedding; the first layer of each half has a table of distances."""
    module.embedding("shared", sizes.size("vocab_size"), sizes.size("d_model"))
    half = sizes.maybe("num_decoder_layers")
    _half(module.at("encoder"), sizes, sizes.layers("num_layers"), crossed=False)
    _half(module.at("decoder"), sizes, sizes.layers("num_layers" if half is None else "num_decoder_layers"), crossed=True)


def t5_encoder(module: Module, sizes: Sizes) -> None:
    """The half that reads."""
    if sizes.flag("is_decoder"):
        raise Unknown(say("as a decoder it is not counted"))
    module.embedding("shared", sizes.size("vocab_size"), sizes.size("d_model"))
    _half(module.at("encoder"), sizes, sizes.layers("num_layers"), crossed=False)


def _half(module: Module, sizes: Sizes, layers: int, *, crossed: bool) -> None:
    width, inner, heads, head = sizes.size("d_model"), sizes.size("d_ff"), sizes.size("num_heads"), sizes.size("d_kv")
    gated = sizes.word("feed_forward_proj").startswith("gated-")
    for layer in range(layers):
        inside = module.at(f"block.{layer}.layer")
        kinds = ("SelfAttention", "EncDecAttention") if crossed else ("SelfAttention",)
        for index, kind in enumerate(kinds):
            _attention(inside.at(f"{index}.{kind}"), width, heads * head)
            if not layer and not index:
                inside.embedding("0.SelfAttention.relative_attention_bias", sizes.size("relative_attention_num_buckets"), heads)
            inside.norm(f"{index}.layer_norm", width)
        last = inside.at(str(len(kinds)))
        for name in ("wi_0", "wi_1") if gated else ("wi",):
            last.linear(f"DenseReluDense.{name}", width, inner)
        last.linear("DenseReluDense.wo", inner, width)
        last.norm("layer_norm", width)
    module.norm("final_layer_norm", width)


def _attention(module: Module, width: int, inner: int) -> None:
    for name in ("q", "k", "v"):
        module.linear(name, width, inner)
    module.linear("o", inner, width)


def bart(module: Module, sizes: Sizes) -> None:
    """Both halves embed with one table; positions begin at 2."""
    hidden = sizes.size("d_model")
    if not sizes.flag("tie_word_embeddings"):
        raise Unknown(say("with a head of its own it is not counted"))
    module.embedding("shared", sizes.size("vocab_size"), hidden)
    for half, crossed in (("encoder", False), ("decoder", True)):
        inside = module.at(half)
        inside.embedding("embed_positions", sizes.size("max_position_embeddings") + 2, hidden)
        for layer in range(sizes.layers(f"{half}_layers")):
            _bart_layer(inside.at(f"layers.{layer}"), hidden, sizes.size(f"{half}_ffn_dim"), crossed=crossed)
        inside.norm("layernorm_embedding", hidden, bias=True)


def _bart_layer(module: Module, hidden: int, inner: int, *, crossed: bool) -> None:
    for name in ("self_attn", "encoder_attn") if crossed else ("self_attn",):
        for other in ("k_proj", "v_proj", "q_proj", "out_proj"):
            module.linear(f"{name}.{other}", hidden, hidden, bias=True)
        module.norm(f"{name}_layer_norm", hidden, bias=True)
    module.linear("fc1", hidden, inner, bias=True)
    module.linear("fc2", inner, hidden, bias=True)
    module.norm("final_layer_norm", hidden, bias=True)
