"""Towers that see."""

from ..text import say
from .blocks import gated
from .sizes import Sizes
from .weight import Module, Unknown


def patches(sizes: Sizes) -> int:
    """Of an image of the size that the positions are for."""
    (height, width), (rows, columns) = sizes.square("image_size"), sizes.square("patch_size")
    return (height // rows) * (width // columns)


def clip_layer(module: Module, hidden: int, inner: int) -> None:
    """A layer of CLIP, of SigLIP, and of CLIP's text: everything with a bias."""
    for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
        module.linear(f"self_attn.{name}", hidden, hidden, bias=True)
    module.norm("layer_norm1", hidden, bias=True)
    module.linear("mlp.fc1", hidden, inner, bias=True)
    module.linear("mlp.fc2", inner, hidden, bias=True)
    module.norm("layer_norm2", hidden, bias=True)


def clip_vision(module: Module, sizes: Sizes) -> None:
    """CLIP's tower for images."""
    hidden = sizes.size("hidden_size")
    module.own("embeddings.class_embedding", hidden)
    module.conv("embeddings.patch_embedding", sizes.size("num_channels"), hidden, *sizes.square("patch_size"), bias=False)
    module.embedding("embeddings.position_embedding", patches(sizes) + 1, hidden)
    module.norm("pre_layrnorm", hidden, bias=True)
    for layer in range(sizes.layers()):
        clip_layer(module.at(f"encoder.layers.{layer}"), hidden, sizes.size("intermediate_size"))
    module.norm("post_layernorm", hidden, bias=True)


def idefics3_vision(module: Module, sizes: Sizes) -> None:
    """SigLIP's tower without a head."""
    hidden, inner = sizes.size("hidden_size"), sizes.size("intermediate_size")
    rows, columns = sizes.square("patch_size")
    module.conv("embeddings.patch_embedding", sizes.size("num_channels"), hidden, rows, columns)
    module.embedding("embeddings.position_embedding", (sizes.square("image_size")[0] // rows) ** 2, hidden)
    for layer in range(sizes.layers()):
        clip_layer(module.at(f"encoder.layers.{layer}"), hidden, inner)
    module.norm("post_layernorm", hidden, bias=True)


def pixtral_vision(module: Module, sizes: Sizes) -> None:
    """Mistral's tower: gates, rotated positions, no biases."""
    hidden, inner, heads = sizes.size("hidden_size"), sizes.size("intermediate_size"), sizes.size("num_attention_heads")
    module.conv("patch_conv", sizes.size("num_channels"), hidden, *sizes.square("patch_size"), bias=False)
    module.norm("ln_pre", hidden)
    for layer in range(sizes.layers()):
        inside = module.at(f"transformer.layers.{layer}")
        inside.norm("attention_norm", hidden)
        gated(inside.at("feed_forward"), hidden, inner)
        for name in ("k_proj", "v_proj", "q_proj", "o_proj"):
            inside.linear(f"attention.{name}", hidden, hidden)
        inside.norm("ffn_norm", hidden)
    if hidden % heads:
        raise Unknown(say("its configuration's {field} is no size", field="num_attention_heads"))


def siglip_vision(module: Module, sizes: Sizes) -> None:
    """SigLIP's tower for images; its head looks at all patches at once."""
    hidden, inner = sizes.size("hidden_size"), sizes.size("intermediate_size")
    module.conv("embeddings.patch_embedding", sizes.size("num_channels"), hidden, *sizes.square("patch_size"))
    module.embedding("embeddings.position_embedding", patches(sizes), hidden)
    for layer in range(sizes.layers()):
        clip_layer(module.at(f"encoder.layers.{layer}"), hidden, inner)
    module.norm("post_layernorm", hidden, bias=True)
    if sizes.get("vision_use_head") is None or sizes.flag("vision_use_head"):
        head = module.at("head")
        head.own("probe", 1, 1, hidden)
        head.own("attention.in_proj_weight", 3 * hidden, hidden)
        head.own("attention.in_proj_bias", 3 * hidden)
        head.linear("attention.out_proj", hidden, hidden, bias=True)
        head.norm("layernorm", hidden, bias=True)
        head.linear("mlp.fc1", hidden, inner, bias=True)
        head.linear("mlp.fc2", inner, hidden, bias=True)


def _attention(module: Module, sizes: Sizes) -> None:
    hidden, heads, bias = sizes.size("hidden_size"), sizes.size("num_attention_heads"), sizes.flag("qkv_bias")
    width = heads * (sizes.maybe("head_dim") or hidden // heads)
    for name in ("q_proj", "k_proj", "v_proj"):
        module.linear(f"attention.{name}", hidden, width, bias=bias)
    module.linear("attention.o_proj", width, hidden, bias=True)


def vit(module: Module, sizes: Sizes) -> None:
    """The plain vision transformer."""
    hidden, inner = sizes.size("hidden_size"), sizes.size("intermediate_size")
    module.own("embeddings.cls_token", 1, 1, hidden)
    module.own("embeddings.position_embeddings", 1, patches(sizes) + 1, hidden)
    module.conv("embeddings.patch_embeddings.projection", sizes.size("num_channels"), hidden, *sizes.square("patch_size"))
    for layer in range(sizes.layers()):
        inside = module.at(f"layers.{layer}")
        _attention(inside, sizes)
        inside.norm("layernorm_before", hidden, bias=True)
        inside.norm("layernorm_after", hidden, bias=True)
        inside.linear("mlp.fc1", hidden, inner, bias=True)
        inside.linear("mlp.fc2", inner, hidden, bias=True)
    module.norm("layernorm", hidden, bias=True)


def dinov2(module: Module, sizes: Sizes) -> None:
    """With a scale after each half of a layer; the giant one has gates."""
    hidden = sizes.size("hidden_size")
    inner = int(hidden * sizes.ratio("mlp_ratio"))
    module.own("embeddings.cls_token", 1, 1, hidden)
    if sizes.flag("use_mask_token"):
        module.own("embeddings.mask_token", 1, hidden)
    module.own("embeddings.position_embeddings", 1, patches(sizes) + 1, hidden)
    module.conv("embeddings.patch_embeddings.projection", sizes.size("num_channels"), hidden, *sizes.square("patch_size"))
    for layer in range(sizes.layers()):
        inside = module.at(f"encoder.layer.{layer}")
        inside.norm("norm1", hidden, bias=True)
        _attention(inside, sizes)
        inside.own("layer_scale1.lambda1", hidden)
        inside.norm("norm2", hidden, bias=True)
        if sizes.flag("use_swiglu_ffn"):
            rounded = (int(inner * 2 / 3) + 7) // 8 * 8
            for name, (first, second) in {"gate_proj": (hidden, rounded), "up_proj": (hidden, rounded), "down_proj": (rounded, hidden)}.items():
                inside.linear(f"mlp.{name}", first, second, bias=True)
        else:
            inside.linear("mlp.fc1", hidden, inner, bias=True)
            inside.linear("mlp.fc2", inner, hidden, bias=True)
        inside.own("layer_scale2.lambda1", hidden)
    module.norm("layernorm", hidden, bias=True)


def internvl_vision(module: Module, sizes: Sizes) -> None:
    """InternViT as transformers has it."""
    hidden, inner, bias = sizes.size("hidden_size"), sizes.size("intermediate_size"), sizes.flag("attention_bias")
    normed, layered = sizes.flag("use_qk_norm"), sizes.word("norm_type") == "layer_norm"
    module.own("embeddings.cls_token", 1, 1, hidden)
    if sizes.flag("use_mask_token"):
        module.own("embeddings.mask_token", 1, 1, hidden)
    if sizes.flag("use_absolute_position_embeddings"):
        module.own("embeddings.position_embeddings", 1, patches(sizes) + 1, hidden)
    module.conv("embeddings.patch_embeddings.projection", sizes.size("num_channels"), hidden, *sizes.square("patch_size"))
    for layer in range(sizes.layers()):
        inside = module.at(f"encoder.layer.{layer}")
        inside.own("lambda_1", hidden)
        inside.own("lambda_2", hidden)
        for name in ("q_proj", "k_proj", "v_proj"):
            inside.linear(f"attention.{name}", hidden, hidden, bias=bias)
        inside.linear("attention.projection_layer", hidden, hidden, bias=True)
        for name in ("attention.q_norm", "attention.k_norm") if normed else ():
            inside.norm(name, hidden)
        inside.linear("mlp.fc1", hidden, inner, bias=True)
        inside.linear("mlp.fc2", inner, hidden, bias=True)
        inside.norm("layernorm_before", hidden, bias=layered)
        inside.norm("layernorm_after", hidden, bias=layered)
    if not sizes.flag("use_mean_pooling"):
        module.norm("layernorm", hidden, bias=True)


def intern_vit(module: Module, sizes: Sizes) -> None:
    """InternViT of the repositories' own code."""
    hidden, inner, kind = sizes.size("hidden_size"), sizes.size("intermediate_size"), sizes.word("norm_type")
    if kind not in ("layer_norm", "rms_norm"):
        raise Unknown(say("its configuration's {field} is not known to ivdoctor", field="norm_type"))
    module.own("embeddings.class_embedding", 1, 1, hidden)
    module.conv("embeddings.patch_embedding", 3, hidden, *sizes.square("patch_size"))
    module.own("embeddings.position_embedding", 1, patches(sizes) + 1, hidden)
    for layer in range(sizes.layers()):
        inside = module.at(f"encoder.layers.{layer}")
        inside.own("ls1", hidden)
        inside.own("ls2", hidden)
        inside.linear("attn.qkv", hidden, 3 * hidden, bias=sizes.flag("qkv_bias"))
        for name in ("attn.q_norm", "attn.k_norm") if sizes.flag("qk_normalization") else ():
            inside.norm(name, hidden)
        inside.linear("attn.proj", hidden, hidden, bias=True)
        inside.linear("mlp.fc1", hidden, inner, bias=True)
        inside.linear("mlp.fc2", inner, hidden, bias=True)
        inside.norm("norm1", hidden, bias=kind == "layer_norm")
        inside.norm("norm2", hidden, bias=kind == "layer_norm")
