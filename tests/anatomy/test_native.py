"""Every family counted against transformers' own class, built without data: from its defaults, and from configurations drawn at random."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from ivdoctor.anatomy import Weight, weights
from ivdoctor.anatomy.families import COMPOSED, DECODERS
from ivdoctor.anatomy.others import OTHERS
from ivdoctor.anatomy.sizes import Sizes

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", minversion="5.23.0")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not transformers.__version__.startswith("5.23."), reason="the shapes are those of transformers 5.23"),
]

REMOTE = {"internlm2", "internvl_chat", "kimi_k2"}
"""Of repositories' own code: transformers has no class of theirs."""

GONE = {"T5WithLMHeadModel"}
"""Names that older configurations have, and transformers 5 has not."""

FAMILIES = sorted({*DECODERS, *COMPOSED, *OTHERS} - REMOTE)

LAYERS = {"num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth", "encoder_layers", "decoder_layers"}
WIDTHS = {"hidden_size", "n_embd", "d_model", "dim", "embed_dim"}
HEADS = {"num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads", "decoder_attention_heads"}
INNER = {"intermediate_size", "ffn_dim", "d_ff", "moe_intermediate_size", "hidden_dim", "encoder_ffn_dim", "decoder_ffn_dim"}
INNER |= {"shared_expert_intermediate_size"}
EXPERTS = {"num_experts", "n_routed_experts", "num_local_experts"}
NARROW = {"kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"}
TEXTS = ("llama", "qwen2", "mistral", "gemma2", "qwen3_moe")

FIXED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("phi3 glm glm4 smollm3 modernbert whisper", {"pad_token_id": 0}),
    ("hunyuan_vl_text hunyuan_v1_dense ministral", {"head_dim": 16}),
    ("distilbert", {"n_heads": 4}),
    ("whisper qwen2_audio_encoder bart", {"encoder_attention_heads": 4, "decoder_attention_heads": 4}),
    ("nemotron ernie4_5_moe", {"num_key_value_heads": 2}),
    ("ernie4_5_moe", {"use_bias": False}),
    ("gpt_bigcode", {"add_cross_attention": False}),
    ("wav2vec2", {"add_adapter": False, "num_feat_extract_layers": 3, "num_conv_pos_embedding_groups": 8}),
    ("wav2vec2", {"conv_dim": [8, 16, 8], "conv_kernel": [4, 3, 2], "conv_stride": [2, 2, 2]}),
    ("bert roberta xlm-roberta electra t5 mt5", {"add_cross_attention": False, "is_decoder": False}),
    ("bert roberta xlm-roberta distilbert modernbert electra mpnet bart t5 mt5", {"tie_word_embeddings": True}),
)
"""Where other values are refused by transformers or not counted."""

CHOICES: dict[str, tuple[Any, ...]] = {
    "first_k_dense_replace": (0, 1, 2),
    "mlp_only_layers": ([], [0], [1]),
    "decoder_sparse_step": (1, 2),
    "q_lora_rank": (None, 8),
    "norm_type": ("layer_norm", "rms_norm"),
    "feed_forward_proj": ("relu", "gated-gelu"),
    "num_decoder_layers": (None, 1),
    "num_ln_in_parallel_attn": (None, 1, 2),
    "word_embed_proj_dim": (None, 8),
    "deepstack_visual_indexes": ([0], [0, 1], []),
    "downsample_ratio": (0.5, 0.25),
    "mlp_ratio": (2, 4),
    "n_inner": (None, 40),
    "feat_extract_norm": ("group", "layer"),
    "mask_time_prob": (0.0, 0.05),
    "mask_feature_prob": (0.0, 0.05),
    "vocab_size": (100, 1001),
    "head_dim": (8, 16),
    "image_size": (64, 96),
    "patch_size": (8, 16),
    "max_image_size": (64, 80),
}
OPTIONAL = {"falcon": ("num_ln_in_parallel_attn",), "opt": ("word_embed_proj_dim",), "gpt2": ("n_inner",), "gptj": ("n_inner",)}
OPTIONAL |= {"t5": ("num_decoder_layers",), "mt5": ("num_decoder_layers",), "qwen3_moe": ("mlp_only_layers",), "qwen2_moe": ("mlp_only_layers",)}
"""Fields whose own default is null, so the table does not have them."""


def drawn(draw: random.Random, model_type: str) -> dict[str, Any]:
    """A configuration of few and small layers, in which a quarter of what has a default is left out."""
    sizes = Sizes({}, model_type)
    width, heads = draw.choice([16, 32, 64]), draw.choice([2, 4])
    found: dict[str, Any] = {}
    for name in (*sizes.defaults, *OPTIONAL.get(model_type, ())):
        value = chosen(draw, name, sizes.defaults.get(name), width=width, heads=heads)
        if name in LAYERS | WIDTHS | HEADS or draw.random() > 0.25:
            found[name] = value
    if "head_dim" not in found and model_type != "falcon" and draw.random() < 0.3:
        found["head_dim"] = draw.choice([8, 16])
    for names, values in FIXED:
        found.update(values if model_type in names.split() else {})
    for key, (kind, _, free) in sizes.parts.items():
        texts = ("gemma", "gemma2") if model_type == "paligemma" else (*TEXTS, kind)
        other = draw.choice(texts) if free and key == "text_config" else kind
        found[key] = {**drawn(draw, other), **({"model_type": other} if free else {})}
    return found


def chosen(draw: random.Random, name: str, value: Any, *, width: int, heads: int) -> Any:
    """A value that transformers takes."""
    ranges: list[tuple[set[str], tuple[Any, ...]]] = [
        (LAYERS, (1, 2, 3)),
        (WIDTHS, (width,)),
        (HEADS, (heads,)),
        ({"num_key_value_heads", "num_kv_heads"}, (1, heads)),
        (INNER, (24, 40, 48)),
        (EXPERTS, (4, 8)),
        (NARROW, (8, 16)),
    ]
    for names, values in ranges:
        if name in names:
            return draw.choice(values)
    if name in CHOICES:
        return draw.choice(CHOICES[name])
    if isinstance(value, bool):
        return draw.random() < 0.5
    return draw.choice((value, value + 1)) if isinstance(value, int) and value > 4 and "patch" not in name else value


def classes(model_type: str) -> list[str]:
    """All that are counted."""
    if model_type in DECODERS:
        names = DECODERS[model_type]
        base = "Gemma3TextModel" if model_type == "gemma3_text" else f"{names.stem}Model"
        return [names.stem + names.writer, base, *([f"{names.stem}ForSequenceClassification"] if names.classifier else [])]
    if model_type in COMPOSED:
        return [f"{COMPOSED[model_type].stem}ForConditionalGeneration", f"{COMPOSED[model_type].stem}Model"]
    return [name for name in OTHERS[model_type] if name and name not in GONE]


def built(model_type: str, config: Mapping[str, Any], name: str) -> Any:
    """Transformers' own, without data; weights that it ties are one."""
    configuration = transformers.CONFIG_MAPPING[model_type](**config)
    with torch.device("meta"):
        model = getattr(transformers, name)(configuration)
    model.tie_weights()
    return model


def persistent(model: Any) -> int:
    """Numbers in buffers that are stored."""
    return sum(
        buffer.numel()
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if name not in module._non_persistent_buffers_set
    )


def shapes(found: tuple[Weight, ...]) -> Counter[tuple[int, ...]]:
    """Of all that are no experts', whose tensors transformers joins while it loads."""
    return Counter(one.shape for one in found if not one.buffer and not one.expert)


def agrees(model_type: str, config: dict[str, Any], name: str) -> None:
    """Numbers of parameters, of what is stored beside them, and every shape."""
    model = built(model_type, config, name)
    found = weights({"model_type": model_type, "architectures": [name], **config})
    expected = {key: tuple(value.shape) for key, value in model.named_parameters()}

    assert sum(one.parameters for one in found if not one.buffer) == sum(value.numel() for value in model.parameters()), (name, config)
    assert sum(one.parameters for one in found if one.buffer) == persistent(model), (name, config)
    assert shapes(found) == Counter(shape for key, shape in expected.items() if ".experts." not in key), (name, config)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_family_by_its_own_defaults(model_type: str) -> None:
    """Two layers of it, and else nothing said: what a short config.json leaves out."""
    sizes = Sizes({}, model_type)
    few = dict.fromkeys(LAYERS & set(sizes.defaults), 2)
    parts = {key: dict.fromkeys(LAYERS & set(Sizes({}, kind).defaults), 2) for key, (kind, _, _) in sizes.parts.items()}
    head = {"head_dim": 128} if model_type in ("ministral", "hunyuan_v1_dense") else {}
    if model_type == "nemotron":
        head = {"num_key_value_heads": 8}
    if model_type == "hunyuan_vl":
        parts["text_config"]["head_dim"] = 128

    agrees(model_type, {**few, **parts, **head}, classes(model_type)[0])


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_family_by_varied_configurations(model_type: str) -> None:
    """Groups of heads, biases, tied and untied, experts, norms: drawn, the same ones every time."""
    draw = random.Random(model_type)
    for name in [*classes(model_type), classes(model_type)[0], classes(model_type)[0]]:
        agrees(model_type, drawn(draw, model_type), name)


@pytest.mark.parametrize("model_type", sorted({*FAMILIES, *(kind for one in FAMILIES for kind, _, _ in Sizes({}, one).parts.values())}))
def test_the_defaults_are_those_of_transformers(model_type: str) -> None:
    """What the table says of a family, its own class says too, and what the class has besides is null or no size."""
    sizes = Sizes({}, model_type)
    kind = {type_.model_type: type_ for type_ in subclasses(transformers.PreTrainedConfig)}[model_type]
    fields = {field.name: field.default for field in kind.__dataclass_fields__.values()}

    for name, value in sizes.defaults.items():
        if name in fields:
            default = fields[name]
            factory = kind.__dataclass_fields__[name].default_factory
            default = factory() if callable(factory) else default
            assert (list(default) if isinstance(default, tuple) else default) == value, name
        else:
            assert name == "tie_word_embeddings"
            assert value is (model_type in ("t5", "mt5"))
    for name, others in sizes.names.items():
        assert all(kind.attribute_map[other] == name for other in others)


def subclasses(kind: Any) -> list[Any]:
    """All of them, after every module of configurations was imported."""
    for name in FAMILIES:
        transformers.CONFIG_MAPPING[name]  # it imports the module
    found = [kind]
    for one in found:
        found += one.__subclasses__()
    return found[1:]
