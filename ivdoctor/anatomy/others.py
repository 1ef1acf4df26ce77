"""Classes of other models than decoders and models of several towers."""

from collections.abc import Callable, Mapping
from functools import partial

from ..text import say
from . import encoders, pairs, vision
from .audio import wav2vec2
from .sizes import Sizes
from .weight import Module, Unknown

MOST_LABELS = 100_000
"""Of a classifier."""

Builder = Callable[[Module, Sizes, str], None]
"""Fills the module with what the class of this name holds."""


def labels_of(sizes: Sizes) -> int:
    """Of a classifier: two where nothing is said."""
    named = sizes.get("id2label")
    if isinstance(named, Mapping):
        return len(named)
    count = sizes.maybe("num_labels")
    if count is not None and count > MOST_LABELS:
        raise Unknown(say("its configuration's {field} is no size", field="num_labels"))
    return 2 if count is None else count


def _masked(stem: str, name: str, body: str) -> dict[str, Builder]:
    """BERT's classes and those of its kin."""

    def base(module: Module, sizes: Sizes, _architecture: str) -> None:
        encoders.bert(module, sizes, pooled=True)

    def filler(module: Module, sizes: Sizes, _architecture: str) -> None:
        _tied(sizes)
        encoders.bert(module.at(body), sizes, pooled=False)
        hidden = sizes.size("hidden_size")
        head = module.at("cls.predictions" if stem == "Bert" else "lm_head")
        head.own("bias", sizes.size("vocab_size"))
        head.linear("transform.dense" if stem == "Bert" else "dense", hidden, hidden, bias=True)
        head.norm("transform.LayerNorm" if stem == "Bert" else "layer_norm", hidden, bias=True)

    def classifier(module: Module, sizes: Sizes, _architecture: str) -> None:
        encoders.bert(module.at(body), sizes, pooled=stem == "Bert")
        hidden, labels = sizes.size("hidden_size"), labels_of(sizes)
        if stem == "Bert":
            module.linear("classifier", hidden, labels, bias=True)
        else:
            module.linear("classifier.dense", hidden, hidden, bias=True)
            module.linear("classifier.out_proj", hidden, labels, bias=True)

    def tagger(module: Module, sizes: Sizes, _architecture: str) -> None:
        encoders.bert(module.at(body), sizes, pooled=False)
        module.linear("classifier", sizes.size("hidden_size"), labels_of(sizes), bias=True)

    return {
        "": filler,
        f"{name}ForMaskedLM": filler,
        f"{name}Model": base,
        f"{name}ForSequenceClassification": classifier,
        f"{name}ForTokenClassification": tagger,
    }


def _tied(sizes: Sizes) -> None:
    if not sizes.flag("tie_word_embeddings"):
        raise Unknown(say("with a head of its own it is not counted"))


def _distilbert(module: Module, sizes: Sizes, architecture: str) -> None:
    hidden = sizes.size("dim")
    encoders.distilbert(module if architecture == "DistilBertModel" else module.at("distilbert"), sizes)
    if architecture == "DistilBertForSequenceClassification":
        module.linear("pre_classifier", hidden, hidden, bias=True)
        module.linear("classifier", hidden, labels_of(sizes), bias=True)
    elif architecture != "DistilBertModel":
        _tied(sizes)
        module.linear("vocab_transform", hidden, hidden, bias=True)
        module.norm("vocab_layer_norm", hidden, bias=True)
        module.own("vocab_projector.bias", sizes.size("vocab_size"))


def _modernbert(module: Module, sizes: Sizes, architecture: str) -> None:
    if architecture == "ModernBertModel":
        encoders.modernbert(module, sizes)
        return
    hidden = sizes.size("hidden_size")
    encoders.modernbert(module.at("model"), sizes)
    module.linear("head.dense", hidden, hidden, bias=sizes.flag("classifier_bias"))
    module.norm("head.norm", hidden, bias=sizes.flag("norm_bias"))
    if architecture == "ModernBertForSequenceClassification":
        module.linear("classifier", hidden, labels_of(sizes), bias=True)
    else:
        _tied(sizes)
        if sizes.flag("decoder_bias"):
            module.own("decoder.bias", sizes.size("vocab_size"))


def _plain(make: Callable[[Module, Sizes], object], prefix: str = "") -> Builder:
    return lambda module, sizes, _architecture: void(make(module.at(prefix), sizes))


def void(_value: object) -> None:
    """Nothing."""


def _written(module: Module, sizes: Sizes, architecture: str, *, make: Callable[[Module, Sizes], None], name: str, body: str) -> None:
    if architecture == f"{name}Model":
        make(module, sizes)
        return
    make(module.at(body), sizes)
    if not sizes.flag("tie_word_embeddings"):
        module.linear("lm_head" if name != "Whisper" else "proj_out", sizes.size("d_model"), sizes.size("vocab_size"))


def _bart(module: Module, sizes: Sizes, architecture: str) -> None:
    if architecture == "BartModel":
        pairs.bart(module, sizes)
        return
    pairs.bart(module.at("model"), sizes)
    module.own("final_logits_bias", 1, sizes.size("vocab_size"), buffer=True)


def _electra(module: Module, sizes: Sizes, architecture: str) -> None:
    hidden, narrow = sizes.size("hidden_size"), sizes.size("embedding_size")
    encoders.electra(module if architecture == "ElectraModel" else module.at("electra"), sizes)
    if architecture == "ElectraForMaskedLM":
        _tied(sizes)
        module.norm("generator_predictions.LayerNorm", narrow, bias=True)
        module.linear("generator_predictions.dense", hidden, narrow, bias=True)
        module.own("generator_lm_head.bias", sizes.size("vocab_size"))
    elif architecture != "ElectraModel":
        module.linear("discriminator_predictions.dense", hidden, hidden, bias=True)
        module.linear("discriminator_predictions.dense_prediction", hidden, 1, bias=True)


def _mpnet(module: Module, sizes: Sizes, architecture: str) -> None:
    hidden = sizes.size("hidden_size")
    if architecture == "MPNetModel":
        encoders.mpnet(module, sizes)
        module.linear("pooler.dense", hidden, hidden, bias=True)
        return
    _tied(sizes)
    encoders.mpnet(module.at("mpnet"), sizes)
    module.own("lm_head.bias", sizes.size("vocab_size"))
    module.linear("lm_head.dense", hidden, hidden, bias=True)
    module.norm("lm_head.layer_norm", hidden, bias=True)


def _vit(module: Module, sizes: Sizes, architecture: str) -> None:
    hidden = sizes.size("hidden_size")
    if architecture == "ViTForImageClassification":
        vision.vit(module.at("vit"), sizes)
        module.linear("classifier", hidden, labels_of(sizes), bias=True)
    else:
        vision.vit(module, sizes)
        module.linear("pooler.dense", hidden, sizes.maybe("pooler_output_size") or hidden, bias=True)


def _ctc(module: Module, sizes: Sizes, architecture: str) -> None:
    if architecture == "Wav2Vec2ForCTC":
        wav2vec2(module.at("wav2vec2"), sizes)
        module.linear("lm_head", sizes.size("hidden_size"), sizes.size("vocab_size"), bias=True)
    else:
        wav2vec2(module, sizes)


def _each(builder: Builder, *names: str) -> dict[str, Builder]:
    return dict.fromkeys(names, builder)


OTHERS: dict[str, dict[str, Builder]] = {
    "bert": _masked("Bert", "Bert", "bert"),
    "roberta": _masked("Roberta", "Roberta", "roberta"),
    "xlm-roberta": _masked("Roberta", "XLMRoberta", "roberta"),
    "distilbert": _each(_distilbert, "", "DistilBertForMaskedLM", "DistilBertModel", "DistilBertForSequenceClassification"),
    "modernbert": _each(_modernbert, "", "ModernBertForMaskedLM", "ModernBertModel", "ModernBertForSequenceClassification"),
    "electra": _each(_electra, "", "ElectraForPreTraining", "ElectraModel", "ElectraForMaskedLM"),
    "mpnet": _each(_mpnet, "", "MPNetForMaskedLM", "MPNetModel"),
    "bart": _each(_bart, "", "BartForConditionalGeneration", "BartModel"),
    "clip": _each(_plain(encoders.clip), "", "CLIPModel"),
    "clip_vision_model": _each(_plain(vision.clip_vision), "", "CLIPVisionModel"),
    "clip_text_model": _each(_plain(encoders.clip_text), "", "CLIPTextModel"),
    "siglip": _each(_plain(encoders.siglip), "", "SiglipModel"),
    "siglip_vision_model": _each(_plain(vision.siglip_vision), "", "SiglipVisionModel"),
    "vit": _each(_vit, "", "ViTModel", "ViTForImageClassification"),
    "dinov2": _each(_plain(vision.dinov2), "", "Dinov2Model"),
    "wav2vec2": _each(_ctc, "", "Wav2Vec2Model", "Wav2Vec2ForCTC"),
    "whisper": _each(partial(_written, make=pairs.whisper, name="Whisper", body="model"), "", "WhisperForConditionalGeneration", "WhisperModel"),
    "t5": {
        **_each(partial(_written, make=pairs.t5, name="T5", body=""), "", "T5ForConditionalGeneration", "T5Model", "T5WithLMHeadModel"),
        "T5EncoderModel": _plain(pairs.t5_encoder),
    },
    "mt5": {
        **_each(partial(_written, make=pairs.t5, name="MT5", body=""), "", "MT5ForConditionalGeneration", "MT5Model"),
        "MT5EncoderModel": _plain(pairs.t5_encoder),
    },
}
"""By `model_type` and class; the empty name is the usual one."""
