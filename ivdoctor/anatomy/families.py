"""Which class of which family holds what."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from ..modelfiles.reading import shown
from ..text import say
from .decoders import language
from .sizes import Sizes
from .weight import MOST_PARAMETERS, Module, Unknown, Weight, total


class Names(NamedTuple):
    """How a decoder's classes and its body are called."""

    stem: str
    body: str = "model"
    writer: str = "ForCausalLM"
    classifier: bool = True


DECODERS: dict[str, Names] = {
    "llama": Names("Llama"),
    "mistral": Names("Mistral"),
    "ministral": Names("Ministral"),
    "ministral3": Names("Ministral3"),
    "mixtral": Names("Mixtral"),
    "qwen2": Names("Qwen2"),
    "qwen3": Names("Qwen3"),
    "qwen2_moe": Names("Qwen2Moe"),
    "qwen3_moe": Names("Qwen3Moe"),
    "gemma": Names("Gemma"),
    "gemma2": Names("Gemma2"),
    "gemma3_text": Names("Gemma3", classifier=False),
    "phi": Names("Phi"),
    "phi3": Names("Phi3"),
    "phimoe": Names("Phimoe", classifier=False),
    "falcon": Names("Falcon", "transformer"),
    "gpt2": Names("GPT2", "transformer", "LMHeadModel"),
    "gpt_bigcode": Names("GPTBigCode", "transformer"),
    "gptj": Names("GPTJ", "transformer"),
    "gpt_neox": Names("GPTNeoX", "gpt_neox"),
    "opt": Names("OPT", classifier=False),
    "bloom": Names("Bloom", "transformer"),
    "mpt": Names("Mpt", "transformer"),
    "glm": Names("Glm"),
    "glm4": Names("Glm4"),
    "glm4_moe": Names("Glm4Moe", classifier=False),
    "deepseek_v2": Names("DeepseekV2"),
    "deepseek_v3": Names("DeepseekV3"),
    "kimi_k2": Names("DeepseekV3", classifier=False),
    "minicpm3": Names("MiniCPM3"),
    "internlm2": Names("InternLM2", classifier=False),
    "gpt_oss": Names("GptOss"),
    "olmo": Names("Olmo", classifier=False),
    "olmo2": Names("Olmo2", classifier=False),
    "olmo3": Names("Olmo3", classifier=False),
    "olmoe": Names("Olmoe", classifier=False),
    "cohere": Names("Cohere", classifier=False),
    "cohere2": Names("Cohere2", classifier=False),
    "starcoder2": Names("Starcoder2"),
    "stablelm": Names("StableLm"),
    "granite": Names("Granite", classifier=False),
    "smollm3": Names("SmolLM3"),
    "cwm": Names("Cwm", classifier=False),
    "helium": Names("Helium"),
    "nemotron": Names("Nemotron"),
    "minimax_m2": Names("MiniMaxM2", classifier=False),
    "granitemoe": Names("GraniteMoe", classifier=False),
    "ernie4_5_moe": Names("Ernie4_5_Moe", classifier=False),
    "seed_oss": Names("SeedOss"),
    "exaone4": Names("Exaone4"),
    "ernie4_5": Names("Ernie4_5", classifier=False),
    "arcee": Names("Arcee"),
    "hunyuan_v1_dense": Names("HunYuanDenseV1"),
}


class Towers(NamedTuple):
    """A model of several towers."""

    stem: str
    compose: str
    """A function of `composed`, imported when it is needed: a language model alone does not pay for all towers."""
    forwards: bool = False
    """Whether the language model's `tie_word_embeddings` counts where the whole's is false."""
    ties: bool = True
    """Whether its class ties the head at all."""


COMPOSED: dict[str, Towers] = {
    "qwen2_vl": Towers("Qwen2VL", "qwen2_vl", forwards=True),
    "qwen2_5_vl": Towers("Qwen2_5_VL", "qwen2_5_vl", forwards=True),
    "qwen3_vl": Towers("Qwen3VL", "qwen3_vl"),
    "qwen3_vl_moe": Towers("Qwen3VLMoe", "qwen3_vl"),
    "glm4v": Towers("Glm4v", "glm4v", forwards=True),
    "glm46v": Towers("Glm46V", "glm4v"),
    "glm4v_moe": Towers("Glm4vMoe", "glm4v", forwards=True),
    "hunyuan_vl": Towers("HunYuanVL", "hunyuan_vl", forwards=True),
    "gemma3": Towers("Gemma3", "gemma3"),
    "internvl": Towers("InternVL", "internvl"),
    "glmasr": Towers("GlmAsr", "glmasr"),
    "llava": Towers("Llava", "llava", forwards=True),
    "llava_next": Towers("LlavaNext", "llava_next"),
    "llava_onevision": Towers("LlavaOnevision", "llava_onevision", forwards=True),
    "mistral3": Towers("Mistral3", "mistral3"),
    "paligemma": Towers("PaliGemma", "paligemma"),
    "idefics3": Towers("Idefics3", "idefics3"),
    "smolvlm": Towers("SmolVLM", "idefics3"),
    "qwen2_audio": Towers("Qwen2Audio", "qwen2_audio", ties=False),
}


WHOLE = {"internvl_chat": ("internvl_chat", ("", "InternVLChatModel"))}
"""Repositories' own code: a function of `composed`, and the classes it counts, whose head is inside."""


def weights(config: Mapping[str, Any]) -> tuple[Weight, ...]:
    """
    Every weight of the class that the configuration names, or of the one that its family usually is.

    Raises:
        Unknown: the family or the class is not counted, or the configuration does not say what is needed.
    """
    named = config.get("model_type")
    model_type = named if isinstance(named, str) else ""
    sizes = Sizes(config, model_type)
    listed = config.get("architectures")
    architecture = listed[0] if isinstance(listed, list) and listed else ""
    module = Module()
    if model_type in DECODERS:
        _decoder(module, sizes, DECODERS[model_type], architecture)
    elif model_type in COMPOSED:
        _composed(module, sizes, COMPOSED[model_type], architecture)
    else:
        _other(module, sizes, model_type, architecture)
    if total(module.weights, buffers=True) > MOST_PARAMETERS:
        raise Unknown(say("its configuration describes more weights than a model has"))
    return tuple(module.weights)


def _uncounted(architecture: object) -> Unknown:
    return Unknown(say("the class {name} is not counted", name=shown(architecture) if isinstance(architecture, str) else "?"))


def _decoder(module: Module, sizes: Sizes, names: Names, architecture: object) -> None:
    family = language(sizes)
    tied = sizes.flag("tie_word_embeddings")
    if architecture == f"{names.stem}Model" or (architecture == "Gemma3TextModel" and names.stem == "Gemma3"):
        family.body(module, sizes)
        return
    writes = architecture in ("", names.stem + names.writer)
    if not writes and not (names.classifier and architecture == f"{names.stem}ForSequenceClassification"):
        raise _uncounted(architecture)
    family.body(module.at(names.body), sizes)
    if writes:
        family.head(module, sizes, tied=tied)
    else:
        from .others import labels_of

        module.linear("score", family.width(sizes), labels_of(sizes))


def _composed(module: Module, sizes: Sizes, towers: Towers, architecture: object) -> None:
    compose: Callable[[Module, Sizes], Sizes] = getattr(import_module(".composed", __package__), towers.compose)
    if architecture == f"{towers.stem}Model":
        compose(module, sizes)
        return
    if architecture not in ("", f"{towers.stem}ForConditionalGeneration"):
        raise _uncounted(architecture)
    text = compose(module.at("model"), sizes)
    tied = sizes.flag("tie_word_embeddings") or (towers.forwards and text.flag("tie_word_embeddings"))
    if not (tied and towers.ties):
        module.linear("lm_head", text.size("hidden_size"), text.size("vocab_size"))


def _other(module: Module, sizes: Sizes, model_type: str, architecture: object) -> None:
    if model_type in WHOLE:
        name, known = WHOLE[model_type]
        if architecture not in known:
            raise _uncounted(architecture)
        getattr(import_module(".composed", __package__), name)(module, sizes)
        return
    from .others import OTHERS

    classes = OTHERS.get(model_type)
    if classes is None:
        raise Unknown(say("how {model_type} counts its weights is not known to ivdoctor", model_type=shown(model_type)))
    builder = classes.get(architecture) if isinstance(architecture, str) else None
    if builder is None:
        raise _uncounted(architecture)
    builder(module, sizes, architecture if isinstance(architecture, str) else "")
