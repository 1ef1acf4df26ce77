"""Configurations that cannot be: a count or a reason, never a crash, and soon."""

import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ivdoctor.anatomy import Unknown, laid_out, total, weights
from ivdoctor.anatomy.families import COMPOSED, DECODERS, WHOLE
from ivdoctor.anatomy.others import OTHERS
from ivdoctor.anatomy.sizes import Sizes
from ivdoctor.modelfiles.quantisation import quantisation_of

FAMILIES = sorted({*DECODERS, *COMPOSED, *OTHERS, *WHOLE})
FIELDS = sorted({field for one in FAMILIES for field in Sizes({}, one).defaults})
PARTS = ("text_config", "vision_config", "audio_config", "llm_config")

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([10**12, 2**40 - 1, 2**63, "layer_norm", "gated-", "llama", "group"]),
    st.lists(st.one_of(st.integers(-1, 9), st.none(), st.text(max_size=2)), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
FLAT = st.dictionaries(st.sampled_from([*FIELDS, "model_type", "id2label", "num_labels", "per_layer_config"]), ODD, max_size=8)
METHODS = st.sampled_from(["fp8", "compressed-tensors", "awq", "gptq", "bitsandbytes", "mxfp4", "modelopt", "hqq", ""])
QUANTISED = st.fixed_dictionaries(
    {"quant_method": METHODS},
    optional={
        "bits": ODD,
        "group_size": ODD,
        "load_in_4bit": ODD,
        "weight_block_size": ODD,
        "format": st.sampled_from(["pack-quantized", "float-quantized", "gemm"]),
        "ignore": st.lists(st.one_of(st.text(max_size=8), st.just("re:.*mlp.*"), st.just("lm_head")), max_size=4),
        "modules_to_not_convert": st.lists(st.text(max_size=8), max_size=4),
    },
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(FAMILIES),
    FLAT,
    st.dictionaries(st.sampled_from(PARTS), st.one_of(FLAT, ODD), max_size=2),
    st.lists(st.one_of(ODD, st.sampled_from(["LlamaForCausalLM", "BertModel"])), max_size=1),
    QUANTISED,
)
def test_anything_ends_in_a_count_or_a_reason(
    model_type: str, flat: dict[str, Any], parts: dict[str, Any], architectures: list[Any], quantised: dict[str, Any]
) -> None:
    """Whatever the values are."""
    config = {**flat, **parts, "model_type": model_type, "architectures": architectures, "quantization_config": quantised}
    begin = time.process_time()
    try:
        found = weights(config)
        stored = laid_out(found, "bfloat16", quantisation_of(config))
    except Unknown as reason:
        assert str(reason)  # noqa: PT017  # either is right
    else:
        assert sum(one.parameters for one in stored if one.role != "scales") == total(found)
        assert all(one.bytes < 2**63 for one in stored)
    assert time.process_time() - begin < 20
