"""Decoders of plans of their own, the older ones most of all."""

from collections.abc import Callable
from dataclasses import dataclass

from .blocks import gated
from .sizes import Sizes
from .weight import Module

Body = Callable[[Module, Sizes], None]


def hidden_of(sizes: Sizes) -> int:
    """The width of most."""
    return sizes.size("hidden_size")


def embedded(sizes: Sizes) -> int:
    """GPT-2's and its kin's."""
    return sizes.size("n_embd")


def modelled(sizes: Sizes) -> int:
    """MPT's."""
    return sizes.size("d_model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One family: what it is made of, and what its head is called."""

    make: Body
    width: Callable[[Sizes], int] = hidden_of
    """Of the embedding, which a tied head shares."""
    head_name: str = "lm_head"
    head_bias: bool = False

    def body(self, module: Module, sizes: Sizes) -> None:
        """Everything but the head."""
        self.make(module, sizes)

    def head(self, module: Module, sizes: Sizes, *, tied: bool) -> None:
        """What writes; where it is tied, the embedding does."""
        if not tied:
            module.linear(self.head_name, self.width(sizes), sizes.size("vocab_size"))
        if self.head_bias:
            module.own(f"{self.head_name}.bias", sizes.size("vocab_size"))


def gpt2(module: Module, sizes: Sizes) -> None:
    """Its projections lie the other way round (`Conv1D`) and are no linear layers to a quantiser."""
    hidden, inner = sizes.size("n_embd"), sizes.maybe("n_inner")
    inner = 4 * hidden if inner is None else inner
    module.embedding("wte", sizes.size("vocab_size"), hidden)
    module.embedding("wpe", sizes.size("n_positions"), hidden)
    crossed = sizes.flag("add_cross_attention")
    for layer in range(sizes.layers("n_layer")):
        inside = module.at(f"h.{layer}")
        inside.norm("ln_1", hidden, bias=True)
        _turned(inside, "attn.c_attn", hidden, 3 * hidden)
        _turned(inside, "attn.c_proj", hidden, hidden)
        inside.norm("ln_2", hidden, bias=True)
        if crossed:
            _turned(inside, "crossattention.c_attn", hidden, 2 * hidden)
            _turned(inside, "crossattention.q_attn", hidden, hidden)
            _turned(inside, "crossattention.c_proj", hidden, hidden)
            inside.norm("ln_cross_attn", hidden, bias=True)
        _turned(inside, "mlp.c_fc", hidden, inner)
        _turned(inside, "mlp.c_proj", inner, hidden)
    module.norm("ln_f", hidden, bias=True)


def _turned(module: Module, name: str, inner: int, outer: int) -> None:
    module.own(f"{name}.weight", inner, outer)
    module.own(f"{name}.bias", outer)


def gpt_bigcode(module: Module, sizes: Sizes) -> None:
    """With one head of keys and values for all."""
    hidden, heads, inner = sizes.size("n_embd"), sizes.size("n_head"), sizes.maybe("n_inner")
    inner = 4 * hidden if inner is None else inner
    shared = 2 * (hidden // heads) if sizes.flag("multi_query") else 2 * hidden
    module.embedding("wte", sizes.size("vocab_size"), hidden)
    module.embedding("wpe", sizes.size("n_positions"), hidden)
    for layer in range(sizes.layers("n_layer")):
        inside = module.at(f"h.{layer}")
        inside.norm("ln_1", hidden, bias=True)
        inside.linear("attn.c_attn", hidden, hidden + shared, bias=True)
        inside.linear("attn.c_proj", hidden, hidden, bias=True)
        inside.norm("ln_2", hidden, bias=True)
        inside.linear("mlp.c_fc", hidden, inner, bias=True)
        inside.linear("mlp.c_proj", inner, hidden, bias=True)
    module.norm("ln_f", hidden, bias=True)


def gptj(module: Module, sizes: Sizes) -> None:
    """One norm a layer, and a head with a bias."""
    hidden, inner = sizes.size("n_embd"), sizes.maybe("n_inner")
    inner = 4 * hidden if inner is None else inner
    module.embedding("wte", sizes.size("vocab_size"), hidden)
    for layer in range(sizes.layers("n_layer")):
        inside = module.at(f"h.{layer}")
        inside.norm("ln_1", hidden, bias=True)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            inside.linear(f"attn.{name}", hidden, hidden)
        inside.linear("mlp.fc_in", hidden, inner, bias=True)
        inside.linear("mlp.fc_out", inner, hidden, bias=True)
    module.norm("ln_f", hidden, bias=True)


def gpt_neox(module: Module, sizes: Sizes) -> None:
    """Pythia and its kin."""
    hidden, inner, bias = sizes.size("hidden_size"), sizes.size("intermediate_size"), sizes.flag("attention_bias")
    module.embedding("embed_in", sizes.size("vocab_size"), hidden)
    for layer in range(sizes.layers()):
        inside = module.at(f"layers.{layer}")
        inside.norm("input_layernorm", hidden, bias=True)
        inside.norm("post_attention_layernorm", hidden, bias=True)
        inside.linear("attention.query_key_value", hidden, 3 * hidden, bias=bias)
        inside.linear("attention.dense", hidden, hidden, bias=bias)
        inside.linear("mlp.dense_h_to_4h", hidden, inner, bias=True)
        inside.linear("mlp.dense_4h_to_h", inner, hidden, bias=True)
    module.norm("final_layer_norm", hidden, bias=True)


def bloom(module: Module, sizes: Sizes) -> None:
    """Its embedding has a norm."""
    hidden = sizes.size("hidden_size")
    module.embedding("word_embeddings", sizes.size("vocab_size"), hidden)
    module.norm("word_embeddings_layernorm", hidden, bias=True)
    for layer in range(sizes.layers("n_layer")):
        inside = module.at(f"h.{layer}")
        inside.norm("input_layernorm", hidden, bias=True)
        inside.linear("self_attention.query_key_value", hidden, 3 * hidden, bias=True)
        inside.linear("self_attention.dense", hidden, hidden, bias=True)
        inside.norm("post_attention_layernorm", hidden, bias=True)
        inside.linear("mlp.dense_h_to_4h", hidden, 4 * hidden, bias=True)
        inside.linear("mlp.dense_4h_to_h", 4 * hidden, hidden, bias=True)
    module.norm("ln_f", hidden, bias=True)


def falcon(module: Module, sizes: Sizes) -> None:
    """Two plans under one name: `new_decoder_architecture` has groups of heads and up to two norms a layer."""
    hidden = sizes.maybe("n_embed") or sizes.size("hidden_size")
    heads, groups = sizes.size("num_attention_heads"), sizes.maybe("num_kv_heads")
    groups = heads if groups is None else groups
    width, newer, bias = hidden // heads, sizes.flag("new_decoder_architecture"), sizes.flag("bias")
    inner = sizes.maybe("ffn_hidden_size")
    inner = 4 * hidden if inner is None else inner
    three = (heads + 2 * groups) * width if newer else hidden + 2 * width if sizes.flag("multi_query") else 3 * hidden
    norms = _falcon_norms(sizes, newer=newer)
    module.embedding("word_embeddings", sizes.size("vocab_size"), hidden)
    for layer in range(sizes.layers()):
        inside = module.at(f"h.{layer}")
        inside.linear("self_attention.query_key_value", hidden, three, bias=bias)
        inside.linear("self_attention.dense", hidden, hidden, bias=bias)
        inside.linear("mlp.dense_h_to_4h", hidden, inner, bias=bias)
        inside.linear("mlp.dense_4h_to_h", inner, hidden, bias=bias)
        for name in norms:
            inside.norm(name, hidden, bias=True)
    module.norm("ln_f", hidden, bias=True)


def _falcon_norms(sizes: Sizes, *, newer: bool) -> tuple[str, ...]:
    if not sizes.flag("parallel_attn"):
        return "input_layernorm", "post_attention_layernorm"
    count = sizes.maybe("num_ln_in_parallel_attn")
    two = newer if count is None else count == 2  # noqa: PLR2004
    return ("ln_attn", "ln_mlp") if two else ("input_layernorm",)


def narrow_of(sizes: Sizes) -> int:
    """The width of OPT's embedding."""
    narrow = sizes.maybe("word_embed_proj_dim")
    return sizes.size("hidden_size") if narrow is None else narrow


def opt(module: Module, sizes: Sizes) -> None:
    """Positions begin at 2; the smallest-but-one model embeds in a width of its own."""
    hidden, narrow, inner = sizes.size("hidden_size"), narrow_of(sizes), sizes.size("ffn_dim")
    bias, affine = sizes.flag("enable_bias"), sizes.flag("layer_norm_elementwise_affine")
    inside = module.at("decoder")
    inside.embedding("embed_tokens", sizes.size("vocab_size"), narrow)
    inside.embedding("embed_positions", sizes.size("max_position_embeddings") + 2, hidden)
    if narrow != hidden:
        inside.linear("project_out", hidden, narrow)
        inside.linear("project_in", narrow, hidden)
    if affine and sizes.flag("do_layer_norm_before") and not sizes.flag("_remove_final_layer_norm"):
        inside.norm("final_layer_norm", hidden, bias=True)
    for index in range(sizes.layers()):
        layer = inside.at(f"layers.{index}")
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            layer.linear(f"self_attn.{name}", hidden, hidden, bias=bias)
        layer.linear("fc1", hidden, inner, bias=bias)
        layer.linear("fc2", inner, hidden, bias=bias)
        for name in ("self_attn_layer_norm", "final_layer_norm") if affine else ():
            layer.norm(name, hidden, bias=True)


def mpt(module: Module, sizes: Sizes) -> None:
    """No biases at all."""
    hidden, inner = sizes.size("d_model"), sizes.size("expansion_ratio") * sizes.size("d_model")
    module.embedding("wte", sizes.size("vocab_size"), hidden)
    for layer in range(sizes.layers("n_layers")):
        inside = module.at(f"blocks.{layer}")
        inside.norm("norm_1", hidden)
        inside.linear("attn.Wqkv", hidden, 3 * hidden)
        inside.linear("attn.out_proj", hidden, hidden)
        inside.norm("norm_2", hidden)
        inside.linear("ffn.up_proj", hidden, inner)
        inside.linear("ffn.down_proj", inner, hidden)
    module.norm("norm_f", hidden)


def internlm2(module: Module, sizes: Sizes) -> None:
    """Of the repository's own code: queries, keys and values in one."""
    hidden, inner, bias = sizes.size("hidden_size"), sizes.size("intermediate_size"), sizes.flag("bias")
    heads = sizes.size("num_attention_heads")
    groups, width = sizes.maybe("num_key_value_heads") or heads, hidden // heads
    module.embedding("tok_embeddings", sizes.size("vocab_size"), hidden)
    for layer in range(sizes.layers()):
        inside = module.at(f"layers.{layer}")
        inside.linear("attention.wqkv", hidden, (heads + 2 * groups) * width, bias=bias)
        inside.linear("attention.wo", heads * width, hidden, bias=bias)
        gated(inside.at("feed_forward"), hidden, inner, names=("w1", "w3", "w2"))
        inside.norm("attention_norm", hidden)
        inside.norm("ffn_norm", hidden)
    module.norm("norm", hidden)


PLANS: dict[str, Plan] = {
    "gpt2": Plan(make=gpt2, width=embedded),
    "gpt_bigcode": Plan(make=gpt_bigcode, width=embedded),
    "gptj": Plan(make=gptj, width=embedded, head_bias=True),
    "gpt_neox": Plan(make=gpt_neox, head_name="embed_out"),
    "bloom": Plan(make=bloom),
    "falcon": Plan(make=falcon),
    "opt": Plan(make=opt, width=narrow_of),
    "mpt": Plan(make=mpt, width=modelled),
    "internlm2": Plan(make=internlm2, head_name="output"),
}
