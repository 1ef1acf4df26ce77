"""IVD46x: what looks like a clash of dtypes and is none."""

import pytest

from ivdoctor.facts import Operand
from ivdoctor.rules.ivd46x import index_out_of_range, integers_expected_or_found, shapes_do_not_fit, tensors_on_two_devices
from ivdoctor.testing import a_failure, findings, operands

ON_TWO = (Operand(role="expected", dtype="float32", device="cuda"), Operand(role="found", dtype="float32", device="cpu"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (ON_TWO, "the message names tensor types, and what differs is the device: cuda and cpu"),
        (ON_TWO[:1], "tensors on two devices met"),
        ((), "tensors on two devices met"),
    ],
)
def test_ivd460_fires_with_a_move_and_no_cast(given: tuple[Operand, ...], message: str) -> None:
    """`torch.cuda.FloatTensor` against `torch.FloatTensor` is one dtype on two devices."""
    (found,) = findings(tensors_on_two_devices, a_failure("neg-device-mismatch", family="tensor-types", operands=given))
    assert found.message == message
    assert [fix.action for fix in found.fixes] == ["device", "version", "device"]
    assert "model.to(device)" in found.fixes[0].code
    assert "a cast" in found.avoid[0]


def test_ivd460_fires_with_the_weights_first_where_a_tensor_has_no_numbers() -> None:
    """A meta tensor is moved nowhere."""
    (found,) = findings(tensors_on_two_devices, a_failure("neg-device-mismatch", family="meta-tensor"))
    assert "meta device" in found.message
    assert [fix.action for fix in found.fixes] == ["device", "device"]
    assert "to_empty" in found.fixes[0].code


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Pointer argument (at 0) cannot be accessed from Triton", "with torch.cuda.device"),
        ("Placeholder storage has not been allocated on MPS device!", ""),
        ("found at least two devices", 'device_map = "cuda:0"'),
    ],
)
def test_ivd460_fires_with_a_device_that_is_there(message: str, code: str) -> None:
    """Triton takes its own, Metal has no second one, and several GPUs share a map."""
    (found,) = findings(tensors_on_two_devices, a_failure("neg-device-mismatch", message=message))
    assert found.fixes[2].code.startswith(code)
    assert bool(found.fixes[2].code) is bool(code)


def test_ivd460_silent_where_the_dtypes_differ() -> None:
    """On one device."""
    assert findings(tensors_on_two_devices, a_failure("operand-dtype-mismatch")) == []


@pytest.mark.parametrize(("has", "needs", "sizes"), [("4x8", "16x2", " (4x8 and 16x2)"), ("4x8", "", ""), ("", "", "")])
def test_ivd461_fires_with_the_sizes_and_the_parts_that_belong_together(has: str, needs: str, sizes: str) -> None:
    """`mat1 and mat2 shapes` begins like the message about dtypes."""
    (found,) = findings(shapes_do_not_fit, a_failure("neg-shape-mismatch", has=has, needs=needs))
    assert found.message == f"the shapes do not fit{sizes}: the parts do not belong together"
    assert [fix.action for fix in found.fixes] == ["other"]
    assert found.avoid == ("a cast: a dtype changes no shape",)


def test_ivd461_silent_where_the_dtypes_of_matrices_differ() -> None:
    """The message that begins alike."""
    assert findings(shapes_do_not_fit, a_failure("matmul-dtype-mismatch")) == []


INDEX, IMAGE, NUMBER = "labels = labels.long()", "/ 255", "x = x.float()"


@pytest.mark.parametrize(
    ("family", "dtypes", "message", "code"),
    [
        ("scalar-type", {"expected": "int64", "found": "float32"}, "", INDEX),
        ("scalar-type", {"expected": "int64", "found": "int32"}, "", INDEX),
        ("index-types", {"input": "float32"}, "", INDEX),
        ("index-tensors", {}, "tensors used as indices must be long", INDEX),
        ("index-types", {"expected": "float32", "found": "float64"}, "", NUMBER),
        ("scalar-type", {"expected": "uint8", "found": "float32"}, "", IMAGE),
        ("input-type", {"input": "uint8", "weight": "float32"}, "", IMAGE),
        ("input-type", {}, "Input type (torch.uint8) and weight type", IMAGE),
        ("not-implemented", {"input": "float32"}, '"bitwise_and_cpu" not implemented', "x = x.long()"),
        ("index-types", {}, "Only Tensors of floating point dtype can require gradients", "requires_grad_(False)"),
        ("index-put", {"destination": "int64", "source": "float32"}, "", "dtype=source.dtype"),
        ("index-put", {"destination": "int64", "source": "int32"}, "", "source.to(buffer.dtype)"),
        ("masked-scatter", {}, "", "source.to(buffer.dtype)"),
        ("not-implemented", {"input": "int64"}, '"GeluKernelImpl" not implemented', NUMBER),
        ("mat-dtypes", {"mat1": "int64", "mat2": "float32"}, "", NUMBER),
    ],
)
def test_ivd462_fires_for_an_index_an_image_or_a_number(family: str, dtypes: dict[str, str], message: str, code: str) -> None:
    """Each has another cure, and none is a 16-bit cast."""
    failure = a_failure("neg-integer-dtype", family=family, operands=operands(**dtypes), message=message)
    (found,) = findings(integers_expected_or_found, failure)
    (fix,) = found.fixes
    assert code in fix.code
    assert fix.action == "other"
    assert "16-bit cast" in found.avoid[0]
    assert ("index" in found.message, "image" in found.message) == (code == INDEX, code == IMAGE)


def test_ivd462_silent_on_packed_weights() -> None:
    """A product with `torch.uint8` is a quantised weight, and `.float()` would be wrong."""
    assert findings(integers_expected_or_found, a_failure("quant-kernel-dtype")) == []


def test_ivd463_fires_with_a_comparison_before_a_resize() -> None:
    """A resize hides a tokenizer of another model; the true line is found on the CPU."""
    (found,) = findings(index_out_of_range, a_failure("neg-index-out-of-range"))
    assert [fix.action for fix in found.fixes] == ["other", "other"]
    assert found.fixes[0].code.startswith("assert input_ids.max()")
    assert "resize_token_embeddings" in found.fixes[1].code
    assert "CUDA_LAUNCH_BLOCKING=1" in found.look_next[0]


@pytest.mark.parametrize(
    ("message", "certain"),
    [
        ("CUDA error: device-side assert triggered", False),
        ("device-side assert triggered: Assertion `srcIndex < n` failed", True),
        ("index out of range", True),
    ],
)
def test_ivd463_fires_with_as_much_as_the_text_tells(message: str, certain: bool) -> None:
    """An assertion inside a kernel is mostly an index, and not always."""
    (found,) = findings(index_out_of_range, a_failure("neg-index-out-of-range", message=message))
    assert ("mostly" in found.message) is not certain


def test_ivd463_silent_where_an_index_has_another_dtype() -> None:
    """It may well be in range."""
    assert findings(index_out_of_range, a_failure("neg-integer-dtype")) == []
