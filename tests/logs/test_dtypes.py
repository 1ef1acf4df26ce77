"""What a dtype is called, over a decade of releases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivdoctor.facts import INTEGERS
from ivdoctor.logs.dtypes import DEVICES, EIGHT_BITS, NAMES, OWN, PACKED, read

DTYPES = sorted({*NAMES.values(), "float8_e5m2", "uint16", "uint32", "uint64"})


@pytest.mark.parametrize(
    ("token", "dtype", "device"),
    [
        # torch's own, and C++'s
        ("torch.float16", "float16", ""),
        ("torch.bfloat16", "bfloat16", ""),
        ("float", "float32", ""),
        ("double", "float64", ""),
        ("c10::Half", "float16", ""),
        ("c10::BFloat16", "bfloat16", ""),
        ("c10:BFloat16", "bfloat16", ""),
        ("c 10::Half", "float16", ""),
        ("at::Half", "float16", ""),
        ("struct c10::Half", "float16", ""),
        ("class c10::Half", "float16", ""),
        ("struct c10::Float8_e4m3fn", "float8_e4m3fn", ""),
        ("BFLoat16", "bfloat16", ""),
        ("long int", "int64", ""),
        ("__int64", "int64", ""),
        ("signed char", "int8", ""),
        ("unsigned char", "uint8", ""),
        ("ComplexHalf", "complex32", ""),
        ("CUDA_R_16BF", "bfloat16", ""),
        ("fp8e4nv", "float8_e4m3fn", ""),
        ("np.float16", "float16", ""),
        ("numpy.float32", "float32", ""),
        # types that name their device
        ("torch.cuda.HalfTensor", "float16", "cuda"),
        ("torch.cuda.FloatTensor", "float32", "cuda"),
        ("torch.HalfTensor", "float16", "cpu"),
        ("torch.npu.BFloat16Tensor", "bfloat16", "npu"),
        ("HalfTensor", "float16", ""),
        ("CPUBFloat16Type", "bfloat16", "cpu"),
        ("CUDAHalfType", "float16", "cuda"),
        ("HIPHalfType", "float16", "cuda"),
        ("MPSFloatType", "float32", "mps"),
        ("XPUHalfType", "float16", "xpu"),
        # quoted, cut and none
        ("`Half'", "float16", ""),
        ("(Half)", "float16", ""),
        ("Half.", "float16", ""),
        ("torch.cuda.Floa", "", "cuda"),
        ("torch.cuda.sparse.HalfTensor", "", "cuda"),
        ("torch.cuda", "", "cuda"),
        ("torch.", "", ""),
        ("QInt8", "", ""),
        ("floatx", "", ""),
        ("NoneType", "", ""),
        ("garbage", "", ""),
        ("", "", ""),
    ],
)
def test_names(token: str, dtype: str, device: str) -> None:
    """Each release's name is torch's own, with the device where the name tells it."""
    assert read(token) == (dtype, device)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("written", ["{}", "torch.{}", "'{}'", "c10::{}", "<{}>"])
def test_torch_names_stay(dtype: str, written: str) -> None:
    """What is torch's name already is not changed, however it is quoted."""
    assert read(written.format(dtype)) == (dtype, "")


@pytest.mark.parametrize("name", NAMES)
def test_case_does_not_matter(name: str) -> None:
    """Error messages, type names and users write it in different case."""
    assert read(name.upper()) == read(name.lower()) == (NAMES[name], "")


def test_every_name_means_a_dtype_of_torch() -> None:
    """No row of the table leads to a name that is torch's nowhere."""
    assert [one for one in (*NAMES.values(), *INTEGERS, *PACKED) if not OWN.fullmatch(one)] == []
    assert OWN.fullmatch(f"{EIGHT_BITS}_e4m3fn")


TOKENS = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(["torch.", "cuda.", "c10::", "struct ", "tensor", "Half", "Type", "CPU", "float8_e4m3fn", " ", "é", "\x00", "(", "."]),
        max_size=8,
    ).map("".join),
)


@given(token=TOKENS)
def test_no_text_raises(token: str) -> None:
    """Any text is a dtype of torch or none, on a device that is known or none."""
    dtype, device = read(token)

    assert dtype == "" or OWN.fullmatch(dtype)
    assert device == "" or (device.isalpha() and device.islower() and len(device) <= 4)


@given(device=st.sampled_from(DEVICES), name=st.sampled_from(["Half", "Float", "BFloat16", "Double", "Long"]))
def test_a_tensor_type_names_its_device(device: str, name: str) -> None:
    """`torch.<device>.<Name>Tensor` and `<DEVICE><Name>Type` say the same; HIP passes for CUDA, as in torch."""
    shown = "cuda" if device == "hip" else device

    assert read(f"torch.{device}.{name}Tensor") == read(f"{device.upper()}{name}Type") == (read(name)[0], shown)
