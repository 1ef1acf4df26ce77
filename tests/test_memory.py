"""Bytes of weights and caches, and how many devices hold them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.facts import Anatomy, Asked, Cache, Quantisation, Stored
from ivdoctor.memory import Keeping, Weights, devices, expands, held, keeping, loaded_as, room_of, weights_of
from ivdoctor.targets import target
from ivdoctor.testing import a_checkpoint, a_model, a_place, some_packages, some_weights

A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB", memory_mib=81920)
PACKED = (
    some_weights("int32", 1000, 0.5, role="packed"),
    some_weights("bfloat16", 100),
    some_weights("bfloat16", 31, role="scales"),
    some_weights("int64", 8, 8, role="scales"),
)


def weights(*stored: Stored) -> Weights:
    return Weights(stored=stored, how="headers")


def test_headers_come_before_the_configuration() -> None:
    """They are what is there; where files are missing or torn, they are not all of it."""
    anatomy = Anatomy(how="arithmetic", stored=(some_weights("bfloat16", 999),))
    whole = weights_of(a_checkpoint(some_weights("float16", 1)), anatomy)
    assert whole is not None
    assert (whole.how, whole.parameters) == ("headers", 1)
    for broken in (a_checkpoint(some_weights("float16", 1), missing=("x",)), a_checkpoint(some_weights("float16", 1), torn=("x: y",))):
        found, alone = weights_of(broken, anatomy), weights_of(broken, None)
        assert found is not None
        assert alone is not None
        assert (found.how, found.parameters, alone.how) == ("arithmetic", 999, "headers")


def test_what_nothing_tells_is_none() -> None:
    """A folder of an unknown format, a configuration of an unknown family."""
    assert weights_of(None, None) is None
    assert weights_of(a_checkpoint(format="other", stored=(), bytes=10**12), None) is None
    assert weights_of(None, Anatomy(how="arithmetic", stored=())) is None


def test_pickles_that_do_not_say_count_by_their_size() -> None:
    """The least that they can take: as if they were float32. Those that say count as all others."""
    silent = weights_of(a_checkpoint(format="pickle", stored=(), bytes=1000), None)
    assert silent is not None
    assert (silent.how, silent.loaded("auto"), silent.loaded("fp32"), silent.loaded("bf16"), silent.dequantised) == ("size", 1000, 1000, 500, 0)
    told = weights_of(a_checkpoint(some_weights("bfloat16", 10), format="pickle"), None)
    assert told is not None
    assert (told.how, told.loaded("fp32")) == ("headers", 40)


def test_packed_weights_and_scales_stay_as_they_are() -> None:
    """Whatever is asked; the rest of such a model is cast."""
    one = weights(*PACKED)
    assert one.packed
    assert one.loaded("auto") == 500 + 200 + 62 + 64
    assert one.loaded("fp32") == 500 + 400 + 62 + 64
    assert (one.dequantised, one.parameters) == (2200, 1100)


@pytest.mark.parametrize(
    ("dtype", "width", "loaded", "packed"),
    [("float8_e4m3fn", 1, 100, True), ("float32", 4, 200, False), ("float64", 8, 200, False), ("int64", 8, 800, False), ("Q4_K", 0.5625, 56, False)],
)
def test_other_formats_in_bfloat16(dtype: str, width: float, loaded: int, packed: bool) -> None:
    """Floats are cast; integers, eight bits and GGUF's own are not."""
    one = weights(some_weights(dtype, 100, width, role="packed" if dtype == "Q4_K" else "weights"))
    assert one.loaded("bf16") == loaded
    assert one.packed is (packed or dtype == "Q4_K")


@given(st.lists(st.sampled_from(["float32", "bfloat16", "float16", "float64"]), min_size=1, max_size=5), st.integers(1, 10**12))
def test_half_formats_take_half_of_float32(dtypes: list[str], parameters: int) -> None:
    """However the weights are stored."""
    one = weights(*(some_weights(dtype, parameters, 8) for dtype in dtypes))
    assert one.loaded("fp32") == 2 * one.loaded("bf16") == 2 * one.loaded("fp16") == 2 * one.dequantised == 4 * one.parameters


def test_the_format_that_the_loader_takes() -> None:
    """Transformers before 5 takes float32, 5 the configuration's; vLLM float16 where there is no bfloat16; quantised weights stay."""
    model, checkpoint = a_model(), a_checkpoint()
    old, new = some_packages({"transformers": "4.46.2"}), some_packages({"transformers": "5.23.0"})
    assert loaded_as(A100, Asked(), model, checkpoint, old) == "fp32"
    assert loaded_as(A100, Asked(), model, checkpoint, new) == "bf16"
    assert loaded_as(A100, Asked(engine="vllm"), model, checkpoint, old) == "bf16"
    assert loaded_as(target("T4"), Asked(engine="vllm"), model, checkpoint, old) == "fp16"
    assert loaded_as(A100, Asked(dtype="fp32"), model, checkpoint, new) == "fp32"
    assert loaded_as(A100, Asked(), a_model(quantization="awq"), checkpoint, new) == "auto"
    assert loaded_as(A100, Asked(), model, a_checkpoint(format="pickle", stored=()), new) == "auto"
    assert loaded_as(A100, Asked(), a_model(dtype=""), None, new) == "auto"


@pytest.mark.parametrize("family", ["gemma2", "gemma3", "glm4"])
def test_vllm_takes_float32_where_the_family_leaves_float16(family: str) -> None:
    """On a T4 bfloat16 becomes float16 by itself, and of these families float32, in twice the memory; also where the weights are float16."""
    vllm = Asked(engine="vllm")
    for name, dtype, taken in (("T4", "bfloat16", "fp32"), ("A100-80", "bfloat16", "bf16"), ("A100-80", "float16", "fp32")):
        assert loaded_as(target(name), vllm, a_model(model_type=family, dtype=dtype), None, None) == taken
    assert loaded_as(target("T4"), vllm, a_model(), None, None) == "fp16"


def test_expanded_weights_count_expanded() -> None:
    """transformers expands what compressed-tensors packed, vLLM does not."""
    model = a_model(quantization="compressed-tensors", quantised=Quantisation(method="compressed-tensors", format="int4"))
    one, checkpoint = weights(*PACKED), a_checkpoint(*PACKED)
    for asked, bytes_ in ((Asked(), 2200), (Asked(dtype="fp32"), 4400), (Asked(engine="vllm"), one.loaded("auto"))):
        assert held(one, A100, asked, model=model, checkpoint=checkpoint, packages=None) == bytes_
    assert expands(A100, Asked(), model, checkpoint)
    assert not expands(A100, Asked(engine="vllm"), model, checkpoint)
    assert not expands(A100, Asked(), a_model(), a_checkpoint())


@given(st.integers(1, 2**45), st.integers(1, 300_000))
def test_devices_are_enough_and_none_too_many(needed: int, memory_mib: int) -> None:
    """With the margin."""
    place = replace(A100, memory_mib=memory_mib)
    number = devices(needed, place)
    assert 0.9 * memory_mib * 2**20 * number >= needed * (1 - 1e-9)
    assert number == 1 or 0.9 * memory_mib * 2**20 * (number - 1) < needed


def test_devices_of_unknown_memory_are_none() -> None:
    """Not infinitely many."""
    assert (devices(1, replace(A100, memory_mib=0)), room_of(replace(A100, memory_mib=0))) == (0, 0)


CACHES = st.builds(
    Cache,
    per_token=st.integers(0, 10**6),
    windowed=st.integers(0, 10**6),
    window=st.integers(0, 5000),
    state=st.integers(0, 10**8),
    compressed=st.integers(0, 10**5),
)


@given(CACHES, st.sampled_from([1, 2, 4]), st.booleans(), st.integers(0, 2**36))
def test_the_tokens_that_fit_fit_and_one_more_does_not(cache: Cache, width: int, latent: bool, needed: int) -> None:
    """The inverse of the bytes, whatever is windowed, compressed or a state."""
    place, kept = replace(A100, memory_mib=40960), Keeping(cache=cache, width=width, latent=latent)
    tokens = kept.tokens(needed, place)
    room = room_of(place) - needed
    if tokens is None:
        assert kept.bytes(10**9) <= room
        return
    assert tokens >= 0
    assert tokens == 0 or kept.bytes(tokens) <= room
    assert kept.bytes(tokens + 1) > room or not cache.numbers(10**9, latent=latent) - cache.state


def test_the_cache_is_kept_in_the_format_that_is_computed_in() -> None:
    """Four bytes in float32, two in a half format, one where an engine follows a checkpoint to fp8."""
    model = a_model(cache=Cache(per_token=10))
    fp8 = replace(model, quantization="fp8", quantised=Quantisation(method="fp8", kv_cache="fp8"))
    cases = [
        (model, Asked(), 2),
        (model, Asked(dtype="fp32"), 4),
        (fp8, Asked(), 2),
        (fp8, Asked(engine="vllm"), 1),
        (replace(model, dtype="float32", quantization="awq"), Asked(), 4),
    ]
    for one, asked, width in cases:
        kept = keeping(A100, asked, one, None, None)
        assert kept is not None
        assert kept.bytes(1) == 10 * width
    assert keeping(A100, Asked(), a_model(), None, None) is None
    assert keeping(A100, Asked(), None, None, None) is None


def test_engines_keep_falcons_groups_once() -> None:
    """transformers repeats them for every head, in every release."""
    model = a_model(model_type="falcon", cache=Cache(per_token=128, compressed=8))
    packages = some_packages({"transformers": "5.23.0"})
    own, engine = keeping(A100, Asked(), model, None, packages), keeping(replace(A100, count=2), Asked(engine="vllm"), model, None, packages)
    assert own is not None
    assert engine is not None
    assert (own.bytes(1), engine.bytes(1), engine.copies) == (256, 16, False)
