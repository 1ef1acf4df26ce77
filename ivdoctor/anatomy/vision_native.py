"""Towers that see images of any size, each with the merger that joins neighbouring patches for the language model."""

from .blocks import gated
from .sizes import Sizes
from .weight import Module


def qwen2_vl(module: Module, sizes: Sizes) -> None:
    """`hidden_size` is the language model's, `embed_dim` the tower's."""
    hidden, outer = sizes.size("embed_dim"), sizes.size("hidden_size")
    inner, wide = int(hidden * sizes.ratio("mlp_ratio")), hidden * sizes.size("spatial_merge_size") ** 2
    _patches(module, sizes, hidden, bias=False)
    for layer in range(sizes.layers("depth")):
        inside = module.at(f"blocks.{layer}")
        inside.norm("norm1", hidden, bias=True)
        inside.norm("norm2", hidden, bias=True)
        inside.linear("attn.qkv", hidden, 3 * hidden, bias=True)
        inside.linear("attn.proj", hidden, hidden, bias=True)
        inside.linear("mlp.fc1", hidden, inner, bias=True)
        inside.linear("mlp.fc2", inner, hidden, bias=True)
    module.norm("merger.ln_q", hidden, bias=True)
    module.linear("merger.mlp.0", wide, wide, bias=True)
    module.linear("merger.mlp.2", wide, outer, bias=True)


def qwen2_5_vl(module: Module, sizes: Sizes) -> None:
    """RMS norms and gates."""
    hidden, inner = sizes.size("hidden_size"), sizes.size("intermediate_size")
    wide = hidden * sizes.size("spatial_merge_size") ** 2
    _patches(module, sizes, hidden, bias=False)
    for layer in range(sizes.layers("depth")):
        inside = module.at(f"blocks.{layer}")
        inside.norm("norm1", hidden)
        inside.norm("norm2", hidden)
        inside.linear("attn.qkv", hidden, 3 * hidden, bias=True)
        inside.linear("attn.proj", hidden, hidden, bias=True)
        gated(inside.at("mlp"), hidden, inner, bias=True)
    module.norm("merger.ln_q", hidden)
    module.linear("merger.mlp.0", wide, wide, bias=True)
    module.linear("merger.mlp.2", wide, sizes.size("out_hidden_size"), bias=True)


def qwen3_vl(module: Module, sizes: Sizes) -> None:
    """With a merger of its own for each layer that the language model sees early."""
    hidden, inner, outer = sizes.size("hidden_size"), sizes.size("intermediate_size"), sizes.size("out_hidden_size")
    wide = hidden * sizes.size("spatial_merge_size") ** 2
    _patches(module, sizes, hidden, bias=True)
    module.embedding("pos_embed", sizes.size("num_position_embeddings"), hidden)
    for layer in range(sizes.layers("depth")):
        inside = module.at(f"blocks.{layer}")
        inside.norm("norm1", hidden, bias=True)
        inside.norm("norm2", hidden, bias=True)
        inside.linear("attn.qkv", hidden, 3 * hidden, bias=True)
        inside.linear("attn.proj", hidden, hidden, bias=True)
        inside.linear("mlp.linear_fc1", hidden, inner, bias=True)
        inside.linear("mlp.linear_fc2", inner, hidden, bias=True)
    early = [(f"deepstack_merger_list.{index}", wide) for index in range(len(sizes.numbers("deepstack_visual_indexes")))]
    for name, normed in [("merger", hidden), *early]:
        inside = module.at(name)
        inside.norm("norm", normed, bias=True)
        inside.linear("linear_fc1", wide, wide, bias=True)
        inside.linear("linear_fc2", wide, outer, bias=True)


def glm4v(module: Module, sizes: Sizes) -> None:
    """The layers' inner width is the language model's width, the merger's the tower's `intermediate_size`."""
    hidden, outer, inner = sizes.size("hidden_size"), sizes.size("out_hidden_size"), sizes.size("intermediate_size")
    bias, merge = sizes.flag("attention_bias"), sizes.size("spatial_merge_size")
    height, width = sizes.square("image_size")
    rows, columns = sizes.square("patch_size")
    module.embedding("embeddings.position_embedding", (height // rows) * (width // columns), hidden)
    _patches(module, sizes, hidden, bias=True)
    for layer in range(sizes.layers("depth")):
        inside = module.at(f"blocks.{layer}")
        inside.norm("norm1", hidden)
        inside.norm("norm2", hidden)
        inside.linear("attn.qkv", hidden, 3 * hidden, bias=bias)
        inside.linear("attn.proj", hidden, hidden)
        gated(inside.at("mlp"), hidden, outer)
    merger = module.at("merger")
    merger.linear("proj", outer, outer)
    merger.norm("post_projection_norm", outer, bias=True)
    gated(merger, outer, inner)
    module.norm("post_conv_layernorm", hidden)
    module.conv("downsample", hidden, outer, merge, merge)
    module.norm("post_layernorm", hidden)


def hunyuan_vl(module: Module, sizes: Sizes, outer: int) -> None:
    """`outer`: width of the language model, which the configuration of the tower need not repeat."""
    hidden, inner, merge = sizes.size("hidden_size"), sizes.size("intermediate_size"), sizes.size("spatial_merge_size")
    rows, columns = sizes.square("patch_size")
    side, heads = sizes.size("max_image_size") // rows, sizes.size("num_attention_heads")
    wide = heads * (sizes.maybe("head_dim") or hidden // heads)
    module.conv("embeddings.patch_embedding", sizes.size("num_channels"), hidden, rows, columns)
    module.embedding("embeddings.position_embedding", side * side + 1, hidden)
    for layer in range(sizes.layers()):
        inside = module.at(f"layers.{layer}")
        for name in ("q_proj", "k_proj", "v_proj"):
            inside.linear(f"self_attn.{name}", hidden, wide, bias=True)
        inside.linear("self_attn.o_proj", wide, hidden, bias=True)
        inside.norm("layer_norm1", hidden, bias=True)
        inside.linear("mlp.fc1", hidden, inner, bias=True)
        inside.linear("mlp.fc2", inner, hidden, bias=True)
        inside.norm("layer_norm2", hidden, bias=True)
    merger = module.at("patch_merger")
    merger.conv("proj_conv", hidden, 2 * hidden, merge, merge)
    merger.conv("proj_out", 2 * hidden, 4 * hidden, 1, 1)
    merger.linear("mlp", 4 * hidden, outer, bias=True)
    merger.own("image_newline", 4 * hidden)
    for name in ("image_begin", "image_end", "image_sep"):
        merger.own(name, outer)
    merger.norm("before_rms", hidden)
    merger.norm("after_rms", outer)


def _patches(module: Module, sizes: Sizes, hidden: int, *, bias: bool) -> None:
    depth = sizes.square("temporal_patch_size")[0]
    module.conv("patch_embed.proj", sizes.size("in_channels"), hidden, depth, *sizes.square("patch_size"), bias=bias)
