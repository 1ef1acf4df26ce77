"""How messages name dtypes, over a decade of releases: one name for each, and the device where the name tells it."""

from functools import cache

from .patterns import Lazy

NAMES = {
    "half": "float16",
    "fp16": "float16",
    "f16": "float16",
    "float": "float32",
    "fp32": "float32",
    "f32": "float32",
    "double": "float64",
    "fp64": "float64",
    "bf16": "bfloat16",
    "long": "int64",
    "longint": "int64",
    "__int64": "int64",
    "int64_t": "int64",
    "int": "int32",
    "short": "int16",
    "char": "int8",
    "signedchar": "int8",
    "byte": "uint8",
    "uint8_t": "uint8",
    "int8_t": "int8",
    "int32_t": "int32",
    "int16_t": "int16",
    "unsignedchar": "uint8",
    "boolean": "bool",
    "complexhalf": "complex32",
    "complexfloat": "complex64",
    "complexdouble": "complex128",
    "fp8e4nv": "float8_e4m3fn",
    "cuda_r_16bf": "bfloat16",
    "cuda_r_16f": "float16",
}
"""C++, NumPy and short names to torch's."""

OWN = Lazy(r"float(?:16|32|64)|bfloat16|u?int(?:8|16|32|64)|bool|complex(?:32|64|128)|float8_e[45]m[23]\w{0,6}|float8_e8m0fnu|float4_e2m1fn_x2")
"""torch's own names."""

DEVICES = ("cuda", "cpu", "mps", "xpu", "npu", "hpu", "xla", "hip")

PREFIX = Lazy(r"(?:struct\s+|class\s+)?(?:c\s?10::?|at::|torch\.|numpy\.|np\.|ml_dtypes\.|thunder\.dtypes\.|tensor\(|dt_)*\s*")
TENSOR = Lazy(r"(?P<device>[a-z]{2,4}\.)?(?P<name>\w+?)tensor")
TYPE = Lazy(r"(?P<device>cuda|cpu|mps|xpu|npu|hpu|xla|hip)(?P<name>\w+?)(?:type|tensor)")

PACKED = frozenset({"uint8", "int8"})
"""What packed or quantised weights are stored in."""

EIGHT_BITS = "float8"


@cache
def read(token: str) -> tuple[str, str]:
    """
    The dtype and the device of one token of a message; each empty where the token does not say.

    `torch.cuda.HalfTensor` is (float16, cuda), `torch.HalfTensor` (float16, cpu), `c10::BFloat16` (bfloat16, ""), `MPSFloatType` (float32, mps).
    """
    text = token.strip(" `'\"{}()[]<>.,;").lower()
    had_torch = text.startswith("torch.")
    text = PREFIX.sub("", text, count=1).strip()
    device = ""
    if found := TYPE.fullmatch(text):
        device, text = found["device"], found["name"]
    elif found := TENSOR.fullmatch(text):
        device, text = (found["device"] or ("cpu." if had_torch else "")).rstrip("."), found["name"]
    elif text.startswith("torch.") or "torch." in text:  # a message that was cut: `torch.cuda.Floa`
        text = text.rpartition("torch.")[2]
    if not device and had_torch and text.partition(".")[0] in DEVICES:
        device, _, text = text.partition(".")
    name = text.replace(" ", "")
    return NAMES.get(name, name if OWN.fullmatch(name) else ""), "cuda" if device == "hip" else device
