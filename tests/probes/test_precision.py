"""The live operations: right ones, planted wrong ones, refusals, and lost devices."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from ivdoctor import codec
from ivdoctor.facts import EVERYDAY, HALVES, Asked, Operation, Precision
from ivdoctor.probe import DeviceFault
from ivdoctor.probes.precision import TOLERANCE, _chosen, _flags, precision, run_operator, timed
from ivdoctor.rooms import Answer
from ivdoctor.testing import a_place, a_torch_without_cuda

torch = pytest.importorskip("torch")
operators = pytest.importorskip("ivdoctor.trials.operators")

Look = Callable[..., Answer]


def test_every_operation_is_really_run_on_the_cpu(look: Look) -> None:
    """Five operator classes in three formats; what a current torch runs is near the fp64 result, and fp32 is nearest."""
    if not hasattr(torch.nn.functional, "scaled_dot_product_attention") or torch.__version__ < "2.3":
        pytest.skip("an older torch refuses float16 here")

    found = codec.build(look(precision, torch=a_torch_without_cuda(), place=a_place(), asked=Asked()).fact, Precision)

    assert {(name, dtype) for name in EVERYDAY for dtype in HALVES} == {(one.name, one.dtype) for one in found.operations}
    assert {"works"} == {one.status for one in found.operations}
    assert (found.bf16_flag, found.bf16_flag_native) == (None, None)
    worst = {dtype: max(one.error for one in found.operations if one.dtype == dtype) for dtype in HALVES}
    assert 0 < worst["fp32"] < worst["fp16"] < worst["bf16"]
    assert worst["fp16"] * 10 < TOLERANCE["fp16"]
    assert worst["bf16"] * 5 < TOLERANCE["bf16"]


def test_the_equals_of_a_device_are_run_too(look: Look) -> None:
    """Equal by name is not equal by health: one product in each format on each of them, under its own name; a dead one is a failure."""
    place = dataclasses.replace(a_place(), count=2, others=("cpu",))

    found = codec.build(look(precision, torch=a_torch_without_cuda(), place=place, asked=Asked()).fact, Precision)
    dead = look(precision, torch=a_torch_without_cuda(), place=dataclasses.replace(place, others=("cuda:7",)), asked=Asked())

    assert [(one.name, one.dtype) for one in found.operations][-3:] == [("matmul on cpu", dtype) for dtype in HALVES]
    assert dead.status == "failed" or {one["status"] for one in dead.fact["operations"][-3:]} == {"refused"}


def test_the_same_seed_gives_the_same_distances(look: Look) -> None:
    """Two runs agree to the last bit, but for their times."""
    facts = [look(precision, torch=a_torch_without_cuda(), place=a_place(), asked=Asked()).fact for _ in range(2)]
    first, second = ([{**one, "ratio": 0} for one in fact["operations"]] for fact in facts)

    assert first == second


def broken(damage: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """A product that is right in fp64 and damaged in every other format; in fp32, so that an old torch runs it too."""
    return lambda left, right: left @ right if left.dtype is torch.float64 else damage((left.float() @ right.float()).to(left.dtype))


def run(damage: Callable[[Any], Any], dtype: Any = "fp32") -> Operation:
    torch.manual_seed(0)
    return run_operator(torch, "cpu", dtype, operator("matmul", broken(damage)))


def operator(name: str, call: Callable[..., Any]) -> Any:
    """Of two 8x8 matrices."""
    return operators.Operator(name=name, call=call, sizes=operators.Sizes(((8, 8), (8, 8))))


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    "damage",
    [
        lambda right: right * 0,
        lambda right: -right,
        lambda right: right.T,
        lambda right: right * 1.1,
        lambda right: right + 1,
        lambda right: right.roll(1, 0),
    ],
    ids=["zeros", "negated", "transposed", "a tenth too large", "shifted", "rows moved"],
)
def test_a_wrong_result_is_wrong_in_every_format(damage: Callable[[Any], Any], dtype: Any) -> None:
    """That it ran proves nothing: the result must be near the fp64 one."""
    found = run(damage, dtype)

    assert found.status == "wrong"
    assert found.error > TOLERANCE[dtype]


@pytest.mark.parametrize(("dtype", "factor"), [("fp32", 1.02), ("fp16", 1.02), ("bf16", 1.08)])
def test_a_result_beyond_the_formats_own_rounding_is_wrong(dtype: Any, factor: float) -> None:
    """Each format has its own measure: what would be right for bf16 is not right for fp16."""
    assert run(lambda right: right * factor, dtype).status == "wrong"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_result_that_is_not_finite_is_wrong_and_can_be_written(value: float) -> None:
    """One bad element is enough, and JSON has no word for it."""

    def damage(right: Any) -> Any:
        right[3, 4] = value
        return right

    found = run(damage)

    assert (found.status, found.error) == ("wrong", -1.0)
    assert found == codec.build(codec.load(codec.dump(found)), Operation)


@pytest.mark.parametrize(("dtype", "factor"), [("fp32", 1.001), ("fp16", 1.003), ("bf16", 1.02)])
def test_a_result_within_the_formats_own_rounding_works(dtype: Any, factor: float) -> None:
    """TF32 and oneDNN's bf16 for fp32 are settings, not faults."""
    assert run(lambda right: right * factor, dtype).status == "works"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'"), "RuntimeError: \"addmm_impl_cpu_\" not implemented for 'Half'"),
        (TypeError("BFloat16 is not supported on MPS"), "TypeError: BFloat16 is not supported on MPS"),
        (NotImplementedError("Could not run 'aten::x'\nwith arguments"), "NotImplementedError: Could not run 'aten::x'"),
        (
            RuntimeError("CUDA error: no kernel image is available for execution on the device\nhints"),
            "RuntimeError: CUDA error: no kernel image is available for execution on the device",
        ),
    ],
)
def test_a_refusal_carries_torchs_own_words(error: Exception, message: str) -> None:
    """The first line of the exception, with its type."""

    def refuse(_: Any) -> Any:
        raise error

    found = run(refuse)

    assert ("refused", message) == (found.status, found.message)


def test_a_real_refusal_is_told(look: Look) -> None:
    """What torch itself says when an operator lacks a kernel: quantile takes no half precision on the CPU."""
    found = run_operator(torch, "cpu", "fp16", operator("quantile", lambda a, b: torch.quantile(a, 0.5, dim=0) + b))

    assert found.status == "refused"
    assert "quantile" in found.message


def test_a_lost_device_is_no_refusal() -> None:
    """Whatever is asked next in that process fails too, so the process must go."""

    def assertion(_: Any) -> Any:
        raise RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported")

    with pytest.raises(DeviceFault, match=r"^CUDA error: device-side assert triggered$"):
        run(assertion)


def test_a_place_out_of_torchs_reach_is_absent(look: Look) -> None:
    """A GPU that only the driver sees cannot be tried, and the reason says with which torch."""
    answer = look(precision, torch=a_torch_without_cuda(), place=a_place("sm_75", "Tesla T4", reachable=False), asked=Asked())

    assert (answer.status, answer.reason) == ("absent", "torch 2.6.0+cpu cannot reach Tesla T4")


def backend(question: Any) -> Any:
    """The two things of torch.cuda, or torch.xpu, that are asked about bf16."""

    @contextlib.contextmanager
    def device(name: str) -> Iterator[None]:
        yield

    return SimpleNamespace(device=device, **({"is_bf16_supported": question} if question else {}))


def raising(error: Exception) -> Callable[..., bool]:
    def question(*, including_emulation: bool = True) -> bool:
        raise error

    return question


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (lambda including_emulation=True: including_emulation, (True, False)),  # a T4 since 2.4
        (lambda: False, (False, None)),  # a T4 before
        (lambda: True, (True, None)),  # any card with ROCm before, and XPU in 2.4 to 2.6
        (raising(RuntimeError("Found no NVIDIA driver on your system")), (None, None)),  # 2.4 and 2.5 without a device
        (raising(AssertionError("Torch not compiled with CUDA enabled")), (None, None)),
        (None, (None, None)),  # XPU in 2.3
    ],
)
@pytest.mark.parametrize(("kind", "name"), [("cuda", "sm_75"), ("rocm", "gfx906"), ("xpu", "xpu")])
def test_the_flag_is_asked_as_each_release_allows(question: Any, expected: tuple[bool | None, bool | None], kind: str, name: str) -> None:
    """Releases differ in the argument, and in raising where there is no device."""
    library = SimpleNamespace(**{"xpu" if kind == "xpu" else "cuda": backend(question)})

    assert expected == _flags(library, a_place(name))


def test_a_device_lost_while_asked_for_the_flag_is_a_fault() -> None:
    """The question makes a tensor on the device in some releases."""
    library = SimpleNamespace(cuda=backend(raising(RuntimeError("CUDA error: an illegal memory access was encountered"))))

    with pytest.raises(DeviceFault, match="illegal memory access"):
        _flags(library, a_place("sm_80"))


@pytest.mark.parametrize("kind", ["cpu", "mps"])
def test_places_without_such_a_flag_are_not_asked(kind: str) -> None:
    """There is no is_bf16_supported for the CPU and for Apple's GPUs."""
    assert _flags(SimpleNamespace(), a_place(kind)) == (None, None)


class Full(RuntimeError):
    """As torch's OutOfMemoryError, which torch 1.13 has elsewhere."""


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 14.58 GiB of which 1.06 MiB is free.",
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes.",
        "MPS backend out of memory (MPS allocated: 5.00 GB)",
        "UR backend failed. UR backend returns:39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "MIOpen Error: miopenStatusAllocFailed",
    ],
)
def test_a_full_memory_says_nothing_of_a_format(words: str) -> None:
    """It is an outcome of its own with its reason, and no refusal."""

    def refuse(_: Any) -> Any:
        raise Full(words)

    with pytest.raises(DeviceFault, match=r"^the memory of cpu is full: "):
        run(refuse, "fp16")


def test_a_format_whose_larger_tensors_do_not_fit_is_not_timed() -> None:
    """What was right in small stays right; only its time is not known."""

    def call(left: Any, right: Any) -> Any:
        if left.shape[0] > 8 and left.dtype is torch.bfloat16:
            raise Full("out of memory")
        return left @ right

    product = operators.Operator(name="matmul", call=call, sizes=operators.Sizes(((8, 8), (8, 8)), ((16, 16), (16, 16))))
    found = [run_operator(torch, "cpu", dtype, product) for dtype in ("fp32", "bf16")]

    assert [(one.dtype, one.status, one.ratio > 0) for one in timed(torch, "cpu", product, found)] == [
        ("fp32", "works", True),
        ("bf16", "works", False),
    ]


def test_without_fp32_nothing_is_timed() -> None:
    """There is nothing to compare with."""
    product = next(one for one in operators.operators(torch) if one.name == "matmul")
    found = [run_operator(torch, "cpu", "bf16", product)]

    assert timed(torch, "cpu", product, found) == found


@pytest.mark.parametrize("loops", [1, 40])
def test_the_ratio_is_that_of_the_times(loops: int) -> None:
    """A format that repeats its work is told from one that does not, by how often it does."""

    def call(left: Any, right: Any) -> Any:
        for _ in range(loops if left.dtype is torch.float64 else 1):
            product = left.float() @ right.float()
        return product.to(left.dtype)

    sizes = operators.Sizes(((8, 8), (8, 8)), ((128, 128), (128, 128)))
    repeated = operators.Operator(name="matmul", call=call, sizes=sizes)
    found = [run_operator(torch, "cpu", dtype, repeated) for dtype in ("fp32", "fp64")]
    (_, other) = timed(torch, "cpu", repeated, found)

    assert (other.ratio >= 8) is (loops == 40)


def test_no_backend_of_attention_is_named_where_all_are_taken_for_one() -> None:
    """MPS took its own whatever was named, so that each would be said to work; the plain one is run there as everywhere."""
    named = [one for one in operators.operators(torch) if one.name.startswith("attention")]
    if not named:
        pytest.skip("this torch has no scaled_dot_product_attention")

    assert [one.name for one in named if _chosen(one, a_place("mps", "Apple M2"))] == ["attention"]
    assert [one for one in named if _chosen(one, a_place())] == named
