"""IVD34x: adapters, and what pickled weights bring along."""

from dataclasses import replace
from typing import Any

import pytest

from ivdoctor.facts import Adapter, Asked, Stored
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd34x import (
    REFUSED,
    ROUNDED,
    adapter_is_merged_into_a_narrower_base,
    adapter_on_a_quantised_base,
    adapter_without_weights,
    base_of_the_adapter_is_not_here,
    pickle_names_foreign_code,
)
from ivdoctor.testing import a_checkpoint, findings

MILLION = Stored(dtype="float32", tensors=448, parameters=20_971_520, bytes=83_886_080)


def an_adapter(**changes: Any) -> Adapter:
    """A LoRA in float32 on a base in bfloat16."""
    return replace(Adapter(method="LORA", base="org/base", rank=16, stored=(MILLION,), base_dtype="bfloat16"), **changes)


def test_ivd340_fires_with_what_merging_loses() -> None:
    """A note, for both run together; with the size as PEFT holds it and the step below which a change is lost."""
    (found,) = findings(adapter_is_merged_into_a_narrower_base, an_adapter(merged=("lm_head", "embed_tokens")), Asked())
    assert found.severity is Severity.NOTE
    assert found.message == "the adapter is stored in float32 and its base is in bfloat16: both run together, and merging rounds to bfloat16"
    assert found.evidence == (
        "adapter: 80.0 MiB as stored, 80.0 MiB as PEFT holds it, in float32",
        "merged into bfloat16, a change of a weight by less than 1/512 of it is lost",
        "saved whole, and cast to the base's dtype: lm_head, embed_tokens",
    )
    assert found.fixes[0].trial.status == "not-tried"


@pytest.mark.parametrize(
    ("own", "base", "asked", "part"),
    [("float32", "float16", "auto", "1/4096"), ("float16", "bfloat16", "auto", "1/512"), ("bfloat16", "float32", "fp16", "1/4096"), ("float32", "", "bf16", "1/512")],
)  # fmt: skip
def test_ivd340_fires_by_the_dtype_that_the_base_is_loaded_in(own: str, base: str, asked: str, part: str) -> None:
    """As it is stored, or as was asked for; an adapter in half precision takes twice its size in float32."""
    adapter = an_adapter(stored=(Stored(dtype=own, tensors=2, parameters=2**20, bytes=2**21),), base_dtype=base)
    (found,) = findings(adapter_is_merged_into_a_narrower_base, adapter, Asked(dtype=asked))  # type: ignore[arg-type]
    assert part in found.evidence[1]
    assert "4.0 MiB as PEFT holds it" in found.evidence[0]


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"base_dtype": "float32"}, "auto"),
        ({"base_dtype": "bfloat16"}, "fp32"),
        ({"base_dtype": ""}, "auto"),
        ({"stored": ()}, "auto"),
        ({"stored": (Stored(dtype="bfloat16", tensors=1, parameters=1, bytes=2),)}, "auto"),
        ({"stored": (Stored(dtype="int8", tensors=1, parameters=1, bytes=1),)}, "auto"),
        ({"base_quantization": "bitsandbytes"}, "auto"),
    ],
)
def test_ivd340_silent_where_merging_loses_no_more_than_it_must(changes: dict[str, Any], asked: str) -> None:
    """The same dtype, a wider base, or nothing known."""
    assert not findings(adapter_is_merged_into_a_narrower_base, an_adapter(**changes), Asked(dtype=asked))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", [*ROUNDED, *REFUSED])
def test_ivd341_fires_as_a_note_where_peft_has_a_layer(method: str) -> None:
    """It runs unmerged; what merging does is said, with the words of the exception where it raises."""
    (found,) = findings(adapter_on_a_quantised_base, an_adapter(base_quantization=method), Asked())
    assert found.severity is Severity.NOTE
    assert f"org/base is quantised ({method}): the adapter runs beside it" in found.message
    assert ("refuses to merge" in found.message) is (method in REFUSED)
    assert found.evidence == ((f"merge_and_unload raises {REFUSED[method]}",) if method in REFUSED else ())
    assert found.fixes[0].code == 'model = PeftModel.from_pretrained(base, "ADAPTER")'
    assert 'AutoModelForCausalLM.from_pretrained("BASE", dtype="auto")' in found.fixes[1].code


@pytest.mark.parametrize(("quantization", "method"), [("compressed-tensors", "LORA"), ("mxfp4", "LORA"), ("unknown", "LORA"), ("gptq", "VERA")])
def test_ivd341_fires_as_a_warning_where_nobody_tried(quantization: str, method: str) -> None:
    """Unknown is neither yes nor no."""
    (found,) = findings(adapter_on_a_quantised_base, an_adapter(base_quantization=quantization, method=method), Asked(dtype="bf16"))
    assert found.severity is Severity.WARNING
    assert found.message.endswith(f"whether PEFT runs and merges adapters of {method} on it is unknown")
    assert found.evidence == ()
    assert "torch.bfloat16" in found.fixes[1].code


def test_ivd341_silent_on_plain_weights() -> None:
    """Or where the base is not known."""
    assert findings(adapter_on_a_quantised_base, an_adapter(), Asked()) == []
    assert findings(adapter_on_a_quantised_base, an_adapter(base_dtype=""), Asked()) == []


@pytest.mark.parametrize("base", ["org/base", ""])
def test_ivd342_fires_where_the_base_is_not_at_hand(base: str) -> None:
    """A note that says what is unknown, or that the adapter names none."""
    (found,) = findings(base_of_the_adapter_is_not_here, an_adapter(base=base, base_dtype=""))
    assert found.severity is Severity.NOTE
    assert ("org/base, the base of the adapter, is not at hand" in found.message) is bool(base)
    assert found.fixes[0].trial.reason == "ivdoctor downloads nothing"


@pytest.mark.parametrize("known", [{"base_dtype": "float16"}, {"base_dtype": "", "base_quantization": "gptq"}])
def test_ivd342_silent_where_anything_of_the_base_was_seen(known: dict[str, str]) -> None:
    """Its dtype or its method."""
    assert findings(base_of_the_adapter_is_not_here, an_adapter(**known)) == []


def test_ivd343_fires_where_there_are_no_weights() -> None:
    """An error: PEFT raises."""
    (found,) = findings(adapter_without_weights, an_adapter(stored=()))
    assert found.severity is Severity.ERROR
    assert "neither adapter_model.safetensors nor adapter_model.bin is there" in found.message


def test_ivd343_silent_with_weights() -> None:
    """Of any dtype."""
    assert findings(adapter_without_weights, an_adapter()) == []


@pytest.mark.parametrize("names", [("os.system",), tuple(f"module.name{number}" for number in range(12))])
def test_ivd344_fires_with_the_names(names: tuple[str, ...]) -> None:
    """A few of them in the message, more below it."""
    (found,) = findings(pickle_names_foreign_code, a_checkpoint(format="pickle", foreign=names))
    assert found.severity is Severity.WARNING
    assert found.message.startswith(f"the pickled weights name {len(names)} function")
    assert names[0] in found.message
    assert len(found.evidence) == min(len(names), 9)
    assert "weights_only=True" in found.fixes[0].code


def test_ivd344_silent_where_tensors_are_all_there_is() -> None:
    """Safetensors, and pickles of torch's own."""
    assert findings(pickle_names_foreign_code, a_checkpoint()) == []
    assert findings(pickle_names_foreign_code, a_checkpoint(format="pickle")) == []
