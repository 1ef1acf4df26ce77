"""Models of several towers: one that writes, and those whose outputs are put among its inputs."""

from collections.abc import Callable

from ..text import say
from . import vision, vision_native
from .audio import glmasr as hear
from .audio import whisper_encoder
from .decoders import language
from .sizes import Sizes
from .weight import Module, Unknown

SEEING: dict[str, Callable[[Module, Sizes], None]] = {
    "clip_vision_model": vision.clip_vision,
    "siglip_vision_model": vision.siglip_vision,
    "pixtral": vision.pixtral_vision,
}
"""Towers that a configuration may choose among."""


def _seeing(module: Module, sizes: Sizes) -> None:
    tower = SEEING.get(sizes.model_type)
    if tower is None:
        raise Unknown(say("how {model_type} counts its weights is not known to ivdoctor", model_type=sizes.model_type))
    tower(module, sizes)


def qwen2_vl(module: Module, sizes: Sizes) -> Sizes:
    """Each of these gives back the part that writes."""
    text = sizes.part("text_config", flat=True)
    vision_native.qwen2_vl(module.at("visual"), sizes.part("vision_config"))
    language(text).body(module.at("language_model"), text)
    return text


def qwen2_5_vl(module: Module, sizes: Sizes) -> Sizes:
    """With windows in its tower."""
    text = sizes.part("text_config", flat=True)
    vision_native.qwen2_5_vl(module.at("visual"), sizes.part("vision_config"))
    language(text).body(module.at("language_model"), text)
    return text


def qwen3_vl(module: Module, sizes: Sizes) -> Sizes:
    """Dense, and with experts."""
    text = sizes.part("text_config")
    vision_native.qwen3_vl(module.at("visual"), sizes.part("vision_config"))
    language(text).body(module.at("language_model"), text)
    return text


def glm4v(module: Module, sizes: Sizes) -> Sizes:
    """Dense, and with experts."""
    text = sizes.part("text_config")
    vision_native.glm4v(module.at("visual"), sizes.part("vision_config"))
    language(text).body(module.at("language_model"), text)
    return text


def hunyuan_vl(module: Module, sizes: Sizes) -> Sizes:
    """Before version 1.5 the language model's sizes stand beside the whole's."""
    text = sizes.part("text_config", flat=True)
    vision_native.hunyuan_vl(module.at("vision_tower"), sizes.part("vision_config"), text.size("hidden_size"))
    language(text).body(module.at("language_model"), text)
    return text


def gemma3(module: Module, sizes: Sizes) -> Sizes:
    """Its projection is a bare matrix."""
    text, tower = sizes.part("text_config"), sizes.part("vision_config")
    _seeing(module.at("vision_tower"), tower)
    module.own("multi_modal_projector.mm_input_projection_weight", tower.size("hidden_size"), text.size("hidden_size"))
    module.norm("multi_modal_projector.mm_soft_emb_norm", tower.size("hidden_size"))
    language(text).body(module.at("language_model"), text)
    return text


def internvl(module: Module, sizes: Sizes) -> Sizes:
    """As transformers has it; `internvl_chat` is the repositories' own code."""
    text, tower = sizes.part("text_config"), sizes.part("vision_config")
    vision.internvl_vision(module.at("vision_tower"), tower)
    hidden, wide = text.size("hidden_size"), tower.size("hidden_size") * int(1 / sizes.ratio("downsample_ratio")) ** 2
    inside = module.at("multi_modal_projector")
    inside.norm("layer_norm", wide, bias=True)
    inside.linear("linear_1", wide, hidden, bias=True)
    inside.linear("linear_2", hidden, hidden, bias=True)
    language(text).body(module.at("language_model"), text)
    return text


def internvl_chat(module: Module, sizes: Sizes) -> Sizes:
    """InternVL 1.5 to 3, InternVideo2.5: the repositories' own code, whose head is inside the language model."""
    if any(sizes.maybe(name) for name in ("use_backbone_lora", "use_llm_lora")):
        raise Unknown(say("its adapters are not counted"))
    text, tower = sizes.part("llm_config"), sizes.part("vision_config")
    vision.intern_vit(module.at("vision_model"), tower)
    hidden, wide = text.size("hidden_size"), tower.size("hidden_size") * int(1 / sizes.ratio("downsample_ratio")) ** 2
    module.norm("mlp1.0", wide, bias=True)
    module.linear("mlp1.1", wide, hidden, bias=True)
    module.linear("mlp1.3", hidden, hidden, bias=True)
    family = language(text)
    family.body(module.at("language_model.model"), text)
    family.head(module.at("language_model"), text, tied=text.flag("tie_word_embeddings"))
    return text


def glmasr(module: Module, sizes: Sizes) -> Sizes:
    """Four frames of sound are one input of the language model."""
    text, tower = sizes.part("text_config", merged=True), sizes.part("audio_config")
    hear(module.at("audio_tower"), tower)
    hidden = text.size("hidden_size")
    language(text).body(module.at("language_model"), text)
    module.linear("multi_modal_projector.linear_1", tower.size("intermediate_size"), 2 * hidden, bias=True)
    module.linear("multi_modal_projector.linear_2", 2 * hidden, hidden, bias=True)
    return text


def llava(module: Module, sizes: Sizes) -> Sizes:
    """Several layers of the tower may go in side by side."""
    text, tower = sizes.part("text_config"), sizes.part("vision_config")
    chosen, hidden = sizes.get("vision_feature_layer"), text.size("hidden_size")
    _seeing(module.at("vision_tower"), tower)
    bias = sizes.get("multimodal_projector_bias") is None or sizes.flag("multimodal_projector_bias")
    wide = tower.size("hidden_size") * (len(chosen) if isinstance(chosen, list) else 1)
    module.linear("multi_modal_projector.linear_1", wide, hidden, bias=bias)
    module.linear("multi_modal_projector.linear_2", hidden, hidden, bias=bias)
    language(text).body(module.at("language_model"), text)
    return text


def llava_next(module: Module, sizes: Sizes) -> Sizes:
    """With a vector that ends a row of patches."""
    text = llava(module, sizes)
    module.own("image_newline", text.size("hidden_size"))
    return text


def llava_onevision(module: Module, sizes: Sizes) -> Sizes:
    """With a vector that ends a row of patches, whatever tower it has."""
    text = llava(module, sizes)
    module.own("image_newline", text.size("hidden_size"))
    return text


def mistral3(module: Module, sizes: Sizes) -> Sizes:
    """Neighbouring patches are joined before the projection."""
    text, tower = sizes.part("text_config"), sizes.part("vision_config")
    chosen, hidden, seen = sizes.get("vision_feature_layer"), text.size("hidden_size"), tower.size("hidden_size")
    _seeing(module.at("vision_tower"), tower)
    inside, bias = module.at("multi_modal_projector"), sizes.flag("multimodal_projector_bias")
    inside.norm("norm", seen)
    inside.linear("patch_merger.merging_layer", seen * sizes.size("spatial_merge_size") ** 2, seen)
    inside.linear("linear_1", seen * (len(chosen) if isinstance(chosen, list) else 1), hidden, bias=bias)
    inside.linear("linear_2", hidden, hidden, bias=bias)
    language(text).body(module.at("language_model"), text)
    return text


def paligemma(module: Module, sizes: Sizes) -> Sizes:
    """Its projection is one layer, to the width that the whole says."""
    text, tower = sizes.part("text_config"), sizes.part("vision_config")
    _seeing(module.at("vision_tower"), tower)
    module.linear("multi_modal_projector.linear", tower.size("hidden_size"), sizes.size("projection_dim"), bias=True)
    language(text).body(module.at("language_model"), text)
    return text


def idefics3(module: Module, sizes: Sizes) -> Sizes:
    """Idefics3 and SmolVLM."""
    text, tower = sizes.part("text_config"), sizes.part("vision_config")
    vision.idefics3_vision(module.at("vision_model"), tower)
    wide = tower.size("hidden_size") * sizes.size("scale_factor") ** 2
    module.linear("connector.modality_projection.proj", wide, text.size("hidden_size"))
    language(text).body(module.at("text_model"), text)
    return text


def qwen2_audio(module: Module, sizes: Sizes) -> Sizes:
    """Whisper's encoder before a language model."""
    text, tower = sizes.part("text_config"), sizes.part("audio_config")
    whisper_encoder(module.at("audio_tower"), tower)
    module.linear("multi_modal_projector.linear", tower.size("d_model"), text.size("hidden_size"), bias=True)
    language(text).body(module.at("language_model"), text)
    return text
