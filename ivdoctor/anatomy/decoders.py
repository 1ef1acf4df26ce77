"""Decoders of one plan: an embedding, layers of attention and something after it, a norm, a head."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..text import say
from .blocks import Answer, Attention, Experts, Mlp, gated, holds, latent, uniform
from .sizes import Sizes
from .weight import Module, Unknown

if TYPE_CHECKING:
    from .older import Plan

PAIR = ("input_layernorm", "post_attention_layernorm")
FOUR = (*PAIR, "pre_feedforward_layernorm", "post_feedforward_layernorm")
AFTER = ("post_attention_layernorm", "post_feedforward_layernorm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """One family."""

    attention: Callable[[Module, Sizes], None] = field(default_factory=Attention)
    mlp: Callable[[Module, Sizes, int], None] = field(default_factory=Mlp)
    norms: tuple[str, ...] = PAIR
    norm_bias: bool = False
    last: str = "norm"
    """The norm after all layers; empty for one without weights."""
    head_bias: bool = False
    unlike: Answer = False
    """Field that, where it is true, leaves out the second norm."""

    def width(self, sizes: Sizes) -> int:
        """Of the embedding, which a tied head shares."""
        return sizes.size("hidden_size")

    def body(self, module: Module, sizes: Sizes) -> None:
        """Everything but the head."""
        uniform(sizes)
        hidden = sizes.size("hidden_size")
        norms = self.norms[:1] if holds(sizes, self.unlike) else self.norms
        module.embedding("embed_tokens", sizes.size("vocab_size"), hidden)
        for layer in range(sizes.layers()):
            inside = module.at(f"layers.{layer}")
            self.attention(inside, sizes)
            self.mlp(inside, sizes, layer)
            for name in norms:
                inside.norm(name, hidden, bias=self.norm_bias)
        if self.last:
            module.norm(self.last, hidden, bias=self.norm_bias)

    def head(self, module: Module, sizes: Sizes, *, tied: bool) -> None:
        """What writes; where it is tied, the embedding does."""
        if not tied:
            module.linear("lm_head", sizes.size("hidden_size"), sizes.size("vocab_size"))
        if self.head_bias:
            module.own("lm_head.bias", sizes.size("vocab_size"))


def fused_experts(module: Module, sizes: Sizes, _layer: int) -> None:
    """gpt-oss: one tensor for all experts, and biases everywhere."""
    inside, hidden = module.at("mlp"), sizes.size("hidden_size")
    count, inner = sizes.size("num_local_experts"), sizes.size("intermediate_size")
    inside.linear("router", hidden, count, bias=True)
    inside.own("experts.gate_up_proj", 2 * inner, hidden, linear=True, times=count, expert=True)
    inside.own("experts.gate_up_proj_bias", 2 * inner, times=count, expert=True)
    inside.own("experts.down_proj", hidden, inner, linear=True, times=count, expert=True)
    inside.own("experts.down_proj_bias", hidden, times=count, expert=True)


def granite_experts(module: Module, sizes: Sizes, _layer: int) -> None:
    """One tensor for all experts, and no biases."""
    inside, hidden = module.at("block_sparse_moe"), sizes.size("hidden_size")
    count, inner = sizes.size("num_local_experts"), sizes.size("intermediate_size")
    inside.own("router.layer.weight", count, hidden)
    inside.own("input_linear.weight", 2 * inner, hidden, linear=True, times=count, expert=True)
    inside.own("output_linear.weight", hidden, inner, linear=True, times=count, expert=True)


def ernie_experts(module: Module, sizes: Sizes, layer: int) -> None:
    """Experts in a range of layers, one in so many of them; what corrects the router is a parameter."""
    inside, hidden = module.at("mlp"), sizes.size("hidden_size")
    if sizes.flag("use_bias"):
        raise Unknown(say("its biases are not counted"))
    first, last = sizes.number("moe_layer_start_index"), sizes.get("moe_layer_end_index")
    last = sizes.layers() - 1 if last in (None, -1) else sizes.number("moe_layer_end_index")
    if (layer + 1) % sizes.size("moe_layer_interval") or not first <= layer <= last:
        gated(inside, hidden, sizes.size("intermediate_size"))
        return
    count, inner, shared = sizes.size("moe_num_experts"), sizes.size("moe_intermediate_size"), sizes.number("moe_num_shared_experts")
    inside.own("gate.weight", count, hidden)
    inside.own("gate.moe_statics.e_score_correction_bias", 1, count)
    gated(inside.at("experts.0"), hidden, inner, times=count)
    if shared:
        gated(inside.at("shared_experts"), hidden, inner * shared)


BIASED = Attention(bias="attention_bias", out_bias="attention_bias")
HALF_BIASED = Attention(bias="attention_bias")
QWEN3 = Attention(bias="attention_bias", out_bias="attention_bias", norm="head")
LLAMA = Decoder(attention=BIASED, mlp=Mlp(bias="mlp_bias"))
QWEN2 = Decoder(attention=Attention(bias=True))
QWEN2_VL = Decoder(attention=Attention(bias=True, derived=True))
GEMMA = Decoder(attention=BIASED)
SHARED = Experts(
    count="n_routed_experts",
    correction="gate.e_score_correction_bias",
    shared="shared_experts",
    shared_count="n_shared_experts",
    dense="first_k_dense_replace",
)
DEEPSEEK = Decoder(attention=latent, mlp=SHARED)
MIXTRAL_NAMES = ("w1", "w3", "w2")

DECODERS: dict[str, Decoder] = {
    "llama": LLAMA,
    "mistral": Decoder(),
    "ministral": Decoder(),
    "ministral3": Decoder(),
    "mixtral": Decoder(mlp=Experts(count="num_local_experts", inner="intermediate_size", name="block_sparse_moe", names=MIXTRAL_NAMES)),
    "qwen2": QWEN2,
    "qwen2_vl_text": QWEN2_VL,
    "qwen2_5_vl_text": QWEN2_VL,
    "qwen3": Decoder(attention=QWEN3),
    "qwen3_vl_text": Decoder(attention=QWEN3),
    "qwen2_moe": Decoder(
        attention=Attention(bias="qkv_bias"),
        mlp=Experts(shared="shared_expert", shared_inner="shared_expert_intermediate_size", shared_gate=True, sparse_step=True),
    ),
    "qwen3_moe": Decoder(attention=QWEN3, mlp=Experts(sparse_step=True)),
    "qwen3_vl_moe_text": Decoder(attention=QWEN3, mlp=Experts(sparse_step=True)),
    "gemma": GEMMA,
    "gemma2": Decoder(attention=BIASED, norms=FOUR),
    "gemma3_text": Decoder(attention=Attention(bias="attention_bias", out_bias="attention_bias", norm="head"), norms=FOUR),
    "phi3": Decoder(attention=Attention(fused="qkv_proj"), mlp=Mlp(fused="gate_up_proj")),
    "phi": Decoder(
        attention=Attention(
            bias=True,
            out="dense",
            out_bias=True,
            norm="head",
            norm_if="qk_layernorm",
            norm_names=("q_layernorm", "k_layernorm"),
            norm_bias=True,
            norm_derived=True,
        ),
        mlp=Mlp(plain=("fc1", "fc2"), bias=True),
        norms=PAIR[:1],
        norm_bias=True,
        last="final_layernorm",
        head_bias=True,
    ),
    "phimoe": Decoder(
        attention=BIASED,
        mlp=Experts(count="num_local_experts", inner="intermediate_size", name="block_sparse_moe", names=MIXTRAL_NAMES),
        norm_bias=True,
    ),
    "glm": Decoder(attention=HALF_BIASED, mlp=Mlp(fused="gate_up_proj")),
    "glm4": Decoder(attention=HALF_BIASED, mlp=Mlp(fused="gate_up_proj"), norms=(*PAIR, "post_self_attn_layernorm", "post_mlp_layernorm")),
    "glm4v_text": Decoder(
        attention=Attention(bias=True, derived=True), mlp=Mlp(fused="gate_up_proj"), norms=(*PAIR, "post_self_attn_layernorm", "post_mlp_layernorm")
    ),
    "glm4_moe": Decoder(attention=Attention(bias="attention_bias", norm="head", norm_if="use_qk_norm"), mlp=SHARED),
    "glm4v_moe_text": Decoder(attention=HALF_BIASED, mlp=SHARED),
    "deepseek_v2": Decoder(
        attention=latent,
        mlp=Experts(
            count="n_routed_experts", shared="shared_experts", shared_count="n_shared_experts", dense="first_k_dense_replace", mlp_bias="mlp_bias"
        ),
    ),
    "deepseek_v3": DEEPSEEK,
    "kimi_k2": DEEPSEEK,
    "minicpm3": Decoder(attention=latent, mlp=Mlp(bias="mlp_bias")),
    "olmo": Decoder(attention=BIASED, norms=(), last=""),
    "olmo2": Decoder(attention=Attention(bias="attention_bias", out_bias="attention_bias", norm="all"), norms=AFTER),
    "olmo3": Decoder(attention=Attention(bias="attention_bias", out_bias="attention_bias", norm="all"), norms=AFTER),
    "olmoe": Decoder(
        attention=Attention(bias="attention_bias", out_bias="attention_bias", norm="all", norm_derived=True), mlp=Experts(inner="intermediate_size")
    ),
    "cohere": Decoder(attention=Attention(bias="attention_bias", out_bias="attention_bias", norm="each", norm_if="use_qk_norm"), norms=PAIR[:1]),
    "cohere2": Decoder(attention=BIASED, norms=PAIR[:1]),
    "starcoder2": Decoder(
        attention=Attention(bias="use_bias", out_bias="use_bias"), mlp=Mlp(plain=("c_fc", "c_proj"), bias="use_bias"), norm_bias=True
    ),
    "stablelm": Decoder(
        attention=Attention(bias="use_qkv_bias", derived=True, norm="apart", norm_if="qk_layernorm", norm_names=("q_layernorm", "k_layernorm")),
        norm_bias=True,
        unlike="use_parallel_residual",
    ),
    "gpt_oss": Decoder(attention=Attention(bias="attention_bias", out_bias="attention_bias", sinks=True), mlp=fused_experts),
    "granite": LLAMA,
    "smollm3": LLAMA,
    "cwm": Decoder(mlp=Mlp(bias="mlp_bias")),
    "helium": Decoder(attention=Attention(bias="attention_bias", square=True), mlp=Mlp(bias="mlp_bias")),
    "nemotron": Decoder(attention=BIASED, mlp=Mlp(plain=("up_proj", "down_proj"), bias="mlp_bias"), norm_bias=True),
    "minimax_m2": Decoder(
        attention=Attention(norm="all"),
        mlp=Experts(
            count="num_local_experts",
            inner="intermediate_size",
            name="block_sparse_moe",
            names=MIXTRAL_NAMES,
            correction="e_score_correction_bias",
        ),
    ),
    "granitemoe": Decoder(attention=BIASED, mlp=granite_experts),
    "ernie4_5_moe": Decoder(mlp=ernie_experts),
    "seed_oss": Decoder(attention=Attention(bias="attention_bias", out_bias="attention_out_bias"), mlp=Mlp(bias="mlp_bias")),
    "exaone4": Decoder(attention=Attention(norm="head"), norms=AFTER),
    "ernie4_5": Decoder(attention=Attention(bias="use_bias", out_bias="use_bias"), mlp=Mlp(bias="use_bias")),
    "arcee": Decoder(attention=BIASED, mlp=Mlp(plain=("up_proj", "down_proj"), bias="mlp_bias")),
    "hunyuan_v1_dense": Decoder(
        attention=Attention(bias="attention_bias", out_bias="attention_bias", norm="head", norm_names=("query_layernorm", "key_layernorm"))
    ),
    "hunyuan_vl_text": Decoder(
        attention=Attention(bias="attention_bias", out_bias="attention_bias", norm="head", norm_names=("query_layernorm", "key_layernorm"))
    ),
}
"""By `model_type`; the shapes are those of the classes of transformers 5.23.0, against which the suite counts."""


def language(sizes: Sizes) -> "Decoder | Plan":
    """
    The family that writes.

    Raises:
        Unknown: it is none of those that are counted.
    """
    found: Decoder | Plan | None = DECODERS.get(sizes.model_type)
    if found is None:
        from .older import PLANS

        found = PLANS.get(sizes.model_type)
    if found is None:
        raise Unknown(say("how {model_type} counts its weights is not known to ivdoctor", model_type=sizes.model_type))
    return found
