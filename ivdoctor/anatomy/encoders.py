"""Models that read text and write none, and models of text with text or images."""

from ..text import say
from .sizes import Sizes
from .vision import clip_layer, clip_vision, siglip_vision
from .weight import Module, Unknown


def bert(module: Module, sizes: Sizes, *, pooled: bool) -> None:
    """BERT, RoBERTa, XLM-RoBERTa; the pooler only where nothing else stands on top, or a classifier of BERT's."""
    if sizes.flag("add_cross_attention") or sizes.flag("is_decoder"):
        raise Unknown(say("as a decoder it is not counted"))
    hidden, inner = sizes.size("hidden_size"), sizes.size("intermediate_size")
    table = module.at("embeddings")
    table.embedding("word_embeddings", sizes.size("vocab_size"), hidden)
    table.embedding("position_embeddings", sizes.size("max_position_embeddings"), hidden)
    table.embedding("token_type_embeddings", sizes.size("type_vocab_size"), hidden)
    table.norm("LayerNorm", hidden, bias=True)
    _layers(module, sizes.layers(), hidden, inner)
    if pooled:
        module.linear("pooler.dense", hidden, hidden, bias=True)


def _layers(module: Module, count: int, hidden: int, inner: int) -> None:
    for layer in range(count):
        inside = module.at(f"encoder.layer.{layer}")
        for name in ("query", "key", "value"):
            inside.linear(f"attention.self.{name}", hidden, hidden, bias=True)
        inside.linear("attention.output.dense", hidden, hidden, bias=True)
        inside.norm("attention.output.LayerNorm", hidden, bias=True)
        inside.linear("intermediate.dense", hidden, inner, bias=True)
        inside.linear("output.dense", inner, hidden, bias=True)
        inside.norm("output.LayerNorm", hidden, bias=True)


def electra(module: Module, sizes: Sizes) -> None:
    """BERT with an embedding that may be narrower than the layers."""
    hidden, inner, narrow = sizes.size("hidden_size"), sizes.size("intermediate_size"), sizes.size("embedding_size")
    if sizes.flag("add_cross_attention") or sizes.flag("is_decoder"):
        raise Unknown(say("as a decoder it is not counted"))
    table = module.at("embeddings")
    table.embedding("word_embeddings", sizes.size("vocab_size"), narrow)
    table.embedding("position_embeddings", sizes.size("max_position_embeddings"), narrow)
    table.embedding("token_type_embeddings", sizes.size("type_vocab_size"), narrow)
    table.norm("LayerNorm", narrow, bias=True)
    if narrow != hidden:
        module.linear("embeddings_project", narrow, hidden, bias=True)
    _layers(module, sizes.layers(), hidden, inner)


def mpnet(module: Module, sizes: Sizes) -> None:
    """Distances in a table instead of types of tokens."""
    hidden, inner = sizes.size("hidden_size"), sizes.size("intermediate_size")
    table = module.at("embeddings")
    table.embedding("word_embeddings", sizes.size("vocab_size"), hidden)
    table.embedding("position_embeddings", sizes.size("max_position_embeddings"), hidden)
    table.norm("LayerNorm", hidden, bias=True)
    for layer in range(sizes.layers()):
        inside = module.at(f"encoder.layer.{layer}")
        for name in ("q", "k", "v", "o"):
            inside.linear(f"attention.attn.{name}", hidden, hidden, bias=True)
        inside.norm("attention.LayerNorm", hidden, bias=True)
        inside.linear("intermediate.dense", hidden, inner, bias=True)
        inside.linear("output.dense", inner, hidden, bias=True)
        inside.norm("output.LayerNorm", hidden, bias=True)
    module.embedding("encoder.relative_attention_bias", sizes.size("relative_attention_num_buckets"), sizes.size("num_attention_heads"))


def distilbert(module: Module, sizes: Sizes) -> None:
    """Half of BERT's layers, and no types of tokens."""
    hidden, inner = sizes.size("dim"), sizes.size("hidden_dim")
    table = module.at("embeddings")
    table.embedding("word_embeddings", sizes.size("vocab_size"), hidden)
    table.embedding("position_embeddings", sizes.size("max_position_embeddings"), hidden)
    table.norm("LayerNorm", hidden, bias=True)
    for layer in range(sizes.layers("n_layers")):
        inside = module.at(f"transformer.layer.{layer}")
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            inside.linear(f"attention.{name}", hidden, hidden, bias=True)
        inside.norm("sa_layer_norm", hidden, bias=True)
        inside.linear("ffn.lin1", hidden, inner, bias=True)
        inside.linear("ffn.lin2", inner, hidden, bias=True)
        inside.norm("output_layer_norm", hidden, bias=True)


def modernbert(module: Module, sizes: Sizes) -> None:
    """The first layer has no norm before its attention, since the embedding has one."""
    hidden, inner = sizes.size("hidden_size"), sizes.size("intermediate_size")
    norm, attention, mlp = sizes.flag("norm_bias"), sizes.flag("attention_bias"), sizes.flag("mlp_bias")
    module.embedding("embeddings.tok_embeddings", sizes.size("vocab_size"), hidden)
    module.norm("embeddings.norm", hidden, bias=norm)
    for layer in range(sizes.layers()):
        inside = module.at(f"layers.{layer}")
        if layer:
            inside.norm("attn_norm", hidden, bias=norm)
        inside.linear("attn.Wqkv", hidden, 3 * hidden, bias=attention)
        inside.linear("attn.Wo", hidden, hidden, bias=attention)
        inside.norm("mlp_norm", hidden, bias=norm)
        inside.linear("mlp.Wi", hidden, 2 * inner, bias=mlp)
        inside.linear("mlp.Wo", inner, hidden, bias=mlp)
    module.norm("final_norm", hidden, bias=norm)


def clip_text(module: Module, sizes: Sizes) -> None:
    """CLIP's tower for text."""
    _text(module, sizes)


def siglip_text(module: Module, sizes: Sizes) -> None:
    """SigLIP's tower for text, with a head."""
    _text(module, sizes)
    module.linear("head", sizes.size("hidden_size"), sizes.maybe("projection_size") or sizes.size("hidden_size"), bias=True)


def _text(module: Module, sizes: Sizes) -> None:
    hidden = sizes.size("hidden_size")
    module.embedding("embeddings.token_embedding", sizes.size("vocab_size"), hidden)
    module.embedding("embeddings.position_embedding", sizes.size("max_position_embeddings"), hidden)
    for layer in range(sizes.layers()):
        clip_layer(module.at(f"encoder.layers.{layer}"), hidden, sizes.size("intermediate_size"))
    module.norm("final_layer_norm", hidden, bias=True)


def clip(module: Module, sizes: Sizes) -> None:
    """Both towers and what makes them comparable."""
    text, vision, shared = sizes.part("text_config"), sizes.part("vision_config"), sizes.size("projection_dim")
    module.own("logit_scale")
    clip_text(module.at("text_model"), text)
    clip_vision(module.at("vision_model"), vision)
    module.linear("visual_projection", vision.size("hidden_size"), shared)
    module.linear("text_projection", text.size("hidden_size"), shared)


def siglip(module: Module, sizes: Sizes) -> None:
    """Both towers."""
    module.own("logit_scale", 1)
    module.own("logit_bias", 1)
    siglip_text(module.at("text_model"), sizes.part("text_config"))
    siglip_vision(module.at("vision_model"), sizes.part("vision_config"))
