"""IVD33x: what is left of the memory once the weights are loaded."""

from dataclasses import replace

import pytest

from ivdoctor.facts import Anatomy, Asked, Cache, Quantisation
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd33x import context_does_not_fit, memory_is_tight
from ivdoctor.targets import target
from ivdoctor.testing import a_checkpoint, a_model, a_place, findings, some_packages, some_weights

GQA = a_model(context=131072, cache=Cache(per_token=65536))
"""128 KiB of a token in bfloat16: 16 GiB at its full context, beside 15.0 GiB of weights."""

MLA = a_model(model_type="deepseek_v3", context=131072, cache=Cache(per_token=1249280, compressed=35136))
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB", memory_mib=81920)
CARD = replace(A100, memory_mib=24576)


def test_ivd330_fires_with_the_tokens_that_fit() -> None:
    """21.6 GiB less 14.96 of weights, by 128 KiB."""
    (one,) = findings(context_does_not_fit, GQA, CARD, a_checkpoint())
    assert (one.severity, one.category) == (Severity.NOTE, "neg-oom")
    room = int(0.9 * 24 * 2**30) - 2 * 8_030_261_248
    assert one.message == f"about {room // (128 * 1024):,} of 131,072 tokens fit beside the weights on NVIDIA A100-SXM4-80GB"
    assert one.evidence == (
        "weights: 15.0 GiB",
        "cache at 131,072 tokens: 16.0 GiB",
        "of a token: 128.0 KiB",
        "memory for both: 21.6 GiB, nine tenths of 24.0 GiB",
    )
    assert one.fixes[0].code == "output = model.generate(**inputs, max_length=54272)"
    assert all(fix.trial.status == "not-tried" for fix in one.fixes)


def test_ivd330_fires_by_the_configuration_alone() -> None:
    """And says that there are no weights."""
    (one,) = findings(context_does_not_fit, GQA, CARD, Anatomy(how="arithmetic", stored=(some_weights(),)))
    assert one.evidence[-1] == "counted from the configuration: there are no weights here"


@pytest.mark.parametrize(
    ("memory_mib", "asked", "severity"),
    [
        (24576, Asked(engine="vllm"), Severity.ERROR),
        (32768, Asked(engine="vllm"), Severity.WARNING),
        (24576, Asked(engine="sglang"), Severity.NOTE),
        (18000, Asked(), Severity.WARNING),
    ],
)
def test_ivd330_fires_graver_where_the_engine_refuses_to_start(memory_mib: int, asked: Asked, severity: Severity) -> None:
    """An error where weights and cache exceed the whole memory; a warning where a long conversation does not fit."""
    (one,) = findings(context_does_not_fit, GQA, replace(CARD, memory_mib=memory_mib), a_checkpoint(), asked)
    assert one.severity is severity
    if asked.engine == "vllm":
        assert one.fixes[0].command.startswith("vllm serve PATH --max-model-len ")
        assert int(one.fixes[0].command.rpartition(" ")[2]) % 256 == 0
        assert any("max seq len" in line for line in one.evidence)


def test_ivd330_fires_expanded_and_is_silent_where_the_latent_alone_is_kept() -> None:
    """Multi-head latent attention: 2.4 MiB of a token expanded, 69 KiB as engines keep it, and as the transformers that was measured does."""
    fires = [(Asked(), "5.14.0"), (Asked(), "5.0.0")]
    for asked, version in fires:
        (one,) = findings(context_does_not_fit, MLA, A100, a_checkpoint(), asked, some_packages({"transformers": version}))
        assert "of a token: 2,440.0 KiB" in one.evidence
    for asked, version in [(Asked(), "5.23.0"), (Asked(engine="vllm"), "4.57.6"), (Asked(engine="sglang"), "4.57.6")]:
        assert findings(context_does_not_fit, MLA, A100, a_checkpoint(), asked, some_packages({"transformers": version})) == []
    brought = replace(MLA, remote_code=True)
    assert findings(context_does_not_fit, brought, A100, a_checkpoint(), some_packages({"transformers": "5.23.0"}))


def test_ivd330_fires_on_a_latent_that_every_device_keeps_whole() -> None:
    """Four devices of an engine have four times the room for weights, and not for the latent."""
    place, long = replace(A100, count=4, memory_mib=8192), replace(MLA, context=10**6)
    (one,) = findings(context_does_not_fit, long, place, a_checkpoint(), Asked(engine="vllm"))
    room = (4 * int(0.9 * 8 * 2**30) - 2 * 8_030_261_248) // 4
    assert one.message.startswith(f"about {room // 2 // 35136:,} of 1,000,000 tokens")


def test_ivd330_silent_on_a_window_and_fires_without_one() -> None:
    """Layers with a window keep 1,024 tokens however long the text is."""
    windowed = replace(GQA, cache=Cache(per_token=8192, windowed=57344, window=1024))
    assert findings(context_does_not_fit, windowed, CARD, a_checkpoint()) == []
    assert findings(context_does_not_fit, replace(windowed, context=10**6), CARD, a_checkpoint())


def test_ivd330_silent_with_a_cache_in_fp8_that_an_engine_keeps_so() -> None:
    """Half the bytes; transformers does not follow that entry."""
    quantised = Quantisation(method="compressed-tensors", format="fp8", kv_cache="fp8")
    model = replace(GQA, quantised=quantised, context=90_000)
    assert findings(context_does_not_fit, model, CARD, a_checkpoint(), Asked(engine="vllm")) == []
    assert findings(context_does_not_fit, model, CARD, a_checkpoint())


def test_ivd330_silent_where_all_fits_or_something_is_unknown() -> None:
    """No context, no cache, no weights, no memory; or the weights themselves do not fit, which IVD303 says."""
    assert findings(context_does_not_fit, GQA, A100, a_checkpoint()) == []
    assert findings(context_does_not_fit, replace(GQA, context=0), CARD, a_checkpoint()) == []
    assert findings(context_does_not_fit, replace(GQA, cache=None), CARD, a_checkpoint()) == []
    assert findings(context_does_not_fit, GQA, CARD) == []
    assert findings(context_does_not_fit, GQA, replace(CARD, memory_mib=0), a_checkpoint()) == []
    assert findings(context_does_not_fit, GQA, target("T4"), a_checkpoint()) == []
    assert findings(context_does_not_fit, replace(GQA, cache=Cache(per_token=0, state=10**6)), CARD, a_checkpoint()) == []


def test_ivd330_silent_where_packed_weights_are_expanded_beyond_the_memory() -> None:
    """What stays packed leaves room; what transformers expands leaves none, and IVD311 says so."""
    stored = a_checkpoint(some_weights("int32", 3 * 10**10, 0.5, role="packed"))
    model = replace(GQA, quantization="compressed-tensors")
    assert findings(context_does_not_fit, model, CARD, stored, Asked(engine="vllm"))
    assert findings(context_does_not_fit, model, CARD, stored) == []


@pytest.mark.parametrize("memory_mib", [17100, 20000])
def test_ivd331_fires_between_three_quarters_and_nine_tenths(memory_mib: int) -> None:
    """15,317 MiB of weights."""
    (one,) = findings(memory_is_tight, a_model(), replace(A100, memory_mib=memory_mib), a_checkpoint())
    assert (one.severity, one.category) == (Severity.NOTE, "neg-oom")
    assert one.message.startswith(f"the weights take {15317 / memory_mib:.0%} of the memory of NVIDIA A100-SXM4-80GB")


@pytest.mark.parametrize("memory_mib", [0, 16384, 17000, 20500, 81920])
def test_ivd331_silent_with_more_room_or_none(memory_mib: int) -> None:
    """Beyond nine tenths IVD303 speaks."""
    assert findings(memory_is_tight, a_model(), replace(A100, memory_mib=memory_mib), a_checkpoint()) == []


def test_ivd331_silent_where_the_cache_has_said_more() -> None:
    """One finding about one thing."""
    place = replace(A100, memory_mib=20000)
    assert findings(context_does_not_fit, GQA, place, a_checkpoint())
    assert findings(memory_is_tight, GQA, place, a_checkpoint()) == []
    assert findings(memory_is_tight, replace(GQA, context=1024), place, a_checkpoint())
