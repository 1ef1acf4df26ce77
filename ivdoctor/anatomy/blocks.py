"""What decoders are made of: attention, and what comes after it."""

from dataclasses import dataclass

from ..text import say
from .sizes import Sizes
from .weight import Module, Unknown

Answer = bool | str
"""Yes, no, or the name of the field that says so."""


def holds(sizes: Sizes, answer: Answer) -> bool:
    """Whether a family has something, always or by its configuration."""
    return sizes.flag(answer) if isinstance(answer, str) else answer


def heads_of(sizes: Sizes) -> tuple[int, int, int]:
    """Heads of queries, heads of keys and values, and the width of one; what is missing or null follows from the others."""
    heads = sizes.size("num_attention_heads")
    return heads, sizes.maybe("num_key_value_heads") or heads, sizes.maybe("head_dim") or sizes.size("hidden_size") // heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """One family's attention."""

    name: str = "self_attn"
    bias: Answer = False
    """Of queries, keys and values."""
    out: str = "o_proj"
    out_bias: Answer = False
    fused: str = ""
    """The one projection for all three, where there is one."""
    norm: str = ""
    """Of queries and keys: `head` (one for all heads), `each` (one a head), `apart` (modules of their own), `all` (across heads)."""
    norm_if: Answer = True
    norm_names: tuple[str, str] = ("q_norm", "k_norm")
    norm_bias: bool = False
    sinks: bool = False
    derived: bool = False
    """Whether the width of a head always follows from the model's, whatever `head_dim` says."""
    norm_derived: bool = False
    """Whether that is so for the norms alone."""
    square: bool = False
    """Whether the way out has the model's width on both sides, whatever `head_dim` says."""

    def __call__(self, module: Module, sizes: Sizes) -> None:
        """Its weights."""
        inside, hidden = module.at(self.name), sizes.size("hidden_size")
        heads, groups, width = heads_of(sizes)
        width = hidden // heads if self.derived else width
        bias = holds(sizes, self.bias)
        if self.sinks:
            inside.own("sinks", heads)
        if self.fused:
            inside.linear(self.fused, hidden, (heads + 2 * groups) * width, bias=bias)
        else:
            inside.linear("q_proj", hidden, heads * width, bias=bias)
            inside.linear("k_proj", hidden, groups * width, bias=bias)
            inside.linear("v_proj", hidden, groups * width, bias=bias)
        inside.linear(self.out, hidden if self.square else heads * width, hidden, bias=holds(sizes, self.out_bias))
        if self.norm and holds(sizes, self.norm_if):
            for name, count in zip(self.norm_names, (heads, groups), strict=True):
                self._norm(inside, name, count, hidden // heads if self.norm_derived else width)

    def _norm(self, inside: Module, name: str, count: int, width: int) -> None:
        if self.norm == "each":
            inside.own(f"{name}.weight", count, width)
        elif self.norm == "apart":
            for index in range(count):
                inside.norm(f"{name}.norms.{index}", width, bias=self.norm_bias)
        else:
            inside.norm(name, count * width if self.norm == "all" else width, bias=self.norm_bias)


def latent(module: Module, sizes: Sizes) -> None:
    """DeepSeek's attention: keys and values, and mostly queries, through a narrow layer."""
    inside, hidden, heads = module.at("self_attn"), sizes.size("hidden_size"), sizes.size("num_attention_heads")
    still, rotary, value = sizes.size("qk_nope_head_dim"), sizes.size("qk_rope_head_dim"), sizes.maybe("v_head_dim")
    value = hidden // heads if value is None else value
    narrow, queries = sizes.size("kv_lora_rank"), sizes.maybe("q_lora_rank")
    bias = sizes.flag("attention_bias")
    if queries:
        inside.linear("q_a_proj", hidden, queries, bias=bias)
        inside.norm("q_a_layernorm", queries)
        inside.linear("q_b_proj", queries, heads * (still + rotary))
    else:
        inside.linear("q_proj", hidden, heads * (still + rotary))
    inside.linear("kv_a_proj_with_mqa", hidden, narrow + rotary, bias=bias)
    inside.norm("kv_a_layernorm", narrow)
    inside.linear("kv_b_proj", narrow, heads * (still + value))
    inside.linear("o_proj", heads * value, hidden, bias=bias)


def gated(
    module: Module,
    hidden: int,
    inner: int,
    *,
    bias: bool = False,
    times: int = 1,
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
) -> None:
    """Two ways in, one of them a gate, and one out; `times`: experts."""
    first, second, out = names
    module.linear(first, hidden, inner, bias=bias, times=times, expert=times != 1)
    module.linear(second, hidden, inner, bias=bias, times=times, expert=times != 1)
    module.linear(out, inner, hidden, bias=bias, times=times, expert=times != 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mlp:
    """One family's layers after the attention."""

    bias: Answer = False
    fused: str = ""
    """The one layer for both ways in, where there is one."""
    plain: tuple[str, str] | None = None
    """In and out, of a layer without a gate."""
    inner: str = "intermediate_size"
    name: str = "mlp"

    def __call__(self, module: Module, sizes: Sizes, _layer: int) -> None:
        """Its weights."""
        inside, hidden, inner, bias = module.at(self.name), sizes.size("hidden_size"), sizes.size(self.inner), holds(sizes, self.bias)
        if self.plain:
            inside.linear(self.plain[0], hidden, inner, bias=bias)
            inside.linear(self.plain[1], inner, hidden, bias=bias)
        elif self.fused:
            inside.linear(self.fused, hidden, 2 * inner, bias=bias)
            inside.linear("down_proj", inner, hidden, bias=bias)
        else:
            gated(inside, hidden, inner, bias=bias)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """One family's routed experts, and which layers have none."""

    count: str = "num_experts"
    inner: str = "moe_intermediate_size"
    name: str = "mlp"
    router: str = "gate"
    router_bias: bool = False
    correction: str = ""
    """Name of what is added to the router's scores, kept in float32 and no parameter."""
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    shared: str = ""
    """Name of the expert that every token goes through."""
    shared_count: str = ""
    """Field that says how many of them are in one; empty: it has a size of its own."""
    shared_inner: str = ""
    shared_gate: bool = False
    dense: Answer = False
    """Field of how many layers come first that have no experts."""
    sparse_step: bool = False
    """Whether `decoder_sparse_step` and `mlp_only_layers` say which layers have them."""
    mlp_bias: Answer = False

    def __call__(self, module: Module, sizes: Sizes, layer: int) -> None:
        """Its weights."""
        inside, hidden = module.at(self.name), sizes.size("hidden_size")
        bias = holds(sizes, self.mlp_bias)
        if self._is_dense(sizes, layer):
            gated(inside, hidden, sizes.size("intermediate_size"), bias=bias)
            return
        count, inner = sizes.size(self.count), sizes.size(self.inner)
        inside.own(f"{self.router}.weight", count, hidden)
        if self.router_bias:
            inside.own(f"{self.router}.bias", count)
        if self.correction:
            inside.own(self.correction, count, buffer=True)
        gated(inside.at("experts.0"), hidden, inner, times=count, names=self.names)
        if self.shared:
            wide = inner * sizes.number(self.shared_count) if self.shared_count else sizes.size(self.shared_inner)
            if wide:
                gated(inside.at(self.shared), hidden, wide, bias=bias)
        if self.shared_gate:
            inside.linear("shared_expert_gate", hidden, 1)

    def _is_dense(self, sizes: Sizes, layer: int) -> bool:
        if isinstance(self.dense, str) and layer < sizes.number(self.dense):
            return True
        if not self.sparse_step:
            return False
        step = sizes.size("decoder_sparse_step")
        return layer in sizes.numbers("mlp_only_layers") or not sizes.number(self.count) or (layer + 1) % step != 0


def uniform(sizes: Sizes) -> None:
    """
    Make sure that all layers are alike.

    Raises:
        Unknown: the configuration gives layers sizes of their own.
    """
    if sizes.config.get("per_layer_config"):
        raise Unknown(say("its configuration gives layers sizes of their own"))
