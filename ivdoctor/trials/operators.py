"""The operator classes of real models, each as one call on a few numbers: what the live probe runs in every format."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Shapes = tuple[tuple[int, ...], ...]
Call = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Shapes of what an operator takes."""

    small: Shapes
    """For the result: a few numbers."""
    cpu: Shapes = ()
    """For the time on a CPU: about a millisecond in fp32; empty where it is not timed."""
    accelerator: Shapes = ()
    """For the time on an accelerator: long enough that launching it does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator of a class; `call` takes tensors of these shapes and gives one."""

    name: str
    call: Call
    sizes: Sizes
    plain: bool = False
    """Whether it belongs to the few that every check runs."""
    only: tuple[str, ...] = ()
    """The formats it is for; empty for all."""
    reference: Call | None = None
    """What gives the same result in fp64 on the CPU, where the operator itself does not."""


BACKENDS = {"flash": "FLASH_ATTENTION", "efficient": "EFFICIENT_ATTENTION", "cudnn": "CUDNN_ATTENTION", "math": "MATH"}
"""SDPA's backends by torch's names."""

# Lengths and widths of 64: with others cuDNN before 9 refuses every format (check_cudnn_tensor_shapes in torch's sdp_utils.cpp).
HEADS = Sizes(((1, 1, 64, 64),) * 3, ((1, 4, 128, 64),) * 3, ((4, 16, 1024, 64),) * 3)
ROWS = Sizes(((8, 8),), ((256, 1024),), ((8192, 4096),))


def operators(torch: Any) -> tuple[Operator, ...]:
    """Those that this torch has, in the order they are shown."""
    return tuple(one for one in _every(torch) if _there(torch, one.name))


def missing(torch: Any) -> tuple[str, ...]:
    """Names of those that it does not have."""
    return tuple(one.name for one in _every(torch) if not _there(torch, one.name))


def _there(torch: Any, name: str) -> bool:
    functional = torch.nn.functional
    if name.startswith("attention_"):
        backend = getattr(getattr(torch.nn.attention, "SDPBackend", None), BACKENDS[name[10:]], None) if hasattr(torch.nn, "attention") else None
        return backend is not None and hasattr(torch.nn.attention, "sdpa_kernel")
    if name == "attention":
        return hasattr(functional, "scaled_dot_product_attention")
    if name == "scaled_mm":
        return hasattr(torch, "float8_e4m3fn") and hasattr(torch, "_scaled_mm")
    return name != "rms_norm" or hasattr(functional, "rms_norm")


def _every(torch: Any) -> Iterator[Operator]:
    functional = torch.nn.functional
    products = Sizes(((8, 8), (8, 8)), ((256, 256), (256, 256)), ((2048, 2048), (2048, 2048)))
    layers = Sizes(((8, 8), (8, 8), (8,)), ((256, 256), (256, 256), (256,)), ((2048, 2048), (2048, 2048), (2048,)))
    yield Operator(name="matmul", call=lambda a, b: a @ b, sizes=products, plain=True)
    yield Operator(name="linear", call=functional.linear, sizes=layers, plain=True)
    yield from _convolutions(functional)
    yield from _attention(torch)
    yield from _norms(functional)
    yield from _others(torch)
    fp8 = ("fp8_e4m3", "fp8_e5m2")
    yield Operator(name="scaled_mm", call=_scaled(torch), sizes=Sizes(((16, 16), (16, 16))), only=fp8, reference=torch.matmul)


def _convolutions(functional: Any) -> Iterator[Operator]:
    line = Sizes(((1, 4, 8), (4, 4, 3), (4,)), ((1, 64, 512), (64, 64, 3), (64,)), ((8, 512, 4096), (512, 512, 3), (512,)))
    image = Sizes(((1, 4, 8, 8), (4, 4, 3, 3), (4,)), ((1, 32, 28, 28), (32, 32, 3, 3), (32,)), ((8, 256, 56, 56), (256, 256, 3, 3), (256,)))
    cube = Sizes(
        ((1, 2, 4, 4, 4), (2, 2, 3, 3, 3), (2,)), ((1, 16, 8, 16, 16), (16, 16, 3, 3, 3), (16,)), ((2, 64, 16, 56, 56), (64, 64, 3, 3, 3), (64,))
    )
    yield Operator(name="conv1d", call=functional.conv1d, sizes=line)
    yield Operator(name="conv2d", call=functional.conv2d, sizes=image, plain=True)
    yield Operator(name="conv3d", call=functional.conv3d, sizes=cube)


def _attention(torch: Any) -> Iterator[Operator]:
    def attend(q: Any, k: Any, v: Any) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)

    def by(backend: str) -> Call:
        def call(q: Any, k: Any, v: Any) -> Any:
            with torch.nn.attention.sdpa_kernel(getattr(torch.nn.attention.SDPBackend, backend)):
                return attend(q, k, v)

        return call

    yield Operator(name="attention", call=attend, sizes=HEADS, plain=True)
    one_by_one = Sizes(HEADS.small, (), HEADS.accelerator)  # on a CPU the backend that torch takes is timed as `attention`
    for name, backend in BACKENDS.items():
        yield Operator(name=f"attention_{name}", call=by(backend), sizes=one_by_one, reference=attend)


def _norms(functional: Any) -> Iterator[Operator]:
    rows = Sizes(((8, 8), (8,), (8,)), ((256, 1024), (1024,), (1024,)), ((8192, 4096), (4096,), (4096,)))
    images = Sizes(((2, 4, 4, 4), (4,), (4,)), ((2, 64, 28, 28), (64,), (64,)), ((8, 256, 56, 56), (256,), (256,)))
    yield Operator(name="layer_norm", call=lambda x, w, b: functional.layer_norm(x, w.shape, w, b), sizes=rows, plain=True)
    yield Operator(name="rms_norm", call=lambda x, w, _: functional.rms_norm(x, w.shape, w), sizes=rows)
    yield Operator(name="group_norm", call=lambda x, w, b: functional.group_norm(x, 2, w, b), sizes=images)
    yield Operator(name="batch_norm", call=lambda x, w, b: functional.batch_norm(x, b, w, w, b), sizes=images)


def _others(torch: Any) -> Iterator[Operator]:
    functional = torch.nn.functional
    pictures = Sizes(((1, 2, 8, 8),), ((1, 16, 64, 64),), ((8, 64, 128, 128),))
    one = Sizes(((8, 8),))
    yield Operator(name="softmax", call=lambda x: functional.softmax(x, -1), sizes=ROWS)
    yield Operator(name="elementwise", call=lambda x: functional.gelu(x) * x + x, sizes=ROWS)
    yield Operator(name="reductions", call=lambda x: x.mean(-1) + x.amax(-1) + x.cumsum(-1)[..., -1], sizes=ROWS)
    yield Operator(name="interpolate", call=lambda x: functional.interpolate(x, scale_factor=2.0, mode="bicubic"), sizes=pictures)
    yield Operator(name="fft", call=lambda x: torch.fft.rfft(x).abs(), sizes=one)
    # The unit matrix keeps the system well-conditioned in eight bits of mantissa.
    yield Operator(name="linalg", call=lambda a: torch.linalg.inv(a / 8 + torch.eye(8, dtype=a.dtype, device=a.device)), sizes=one)
    yield Operator(name="index", call=_indexed(torch), sizes=Sizes(((8, 8), (4, 8))))
    yield Operator(name="rnn", call=_recurrent(torch), sizes=Sizes(((4, 1, 8), (32, 8), (32, 8))))


def _indexed(torch: Any) -> Call:
    def call(x: Any, y: Any) -> Any:
        chosen = torch.tensor([0, 3, 3, 5], device=x.device)
        rows = chosen[:, None].expand(4, 8)
        return x.index_select(0, chosen) + x.clone().index_add_(0, chosen, y)[:4] + x.clone().scatter_add_(0, rows, y)[4:]

    return call


def _recurrent(torch: Any) -> Call:
    def call(x: Any, w_ih: Any, w_hh: Any) -> Any:
        state = (torch.zeros(1, 1, 8, dtype=x.dtype, device=x.device),) * 2
        flags = {"has_biases": False, "num_layers": 1, "dropout": 0.0, "train": False, "bidirectional": False, "batch_first": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cuDNN would like the weights in one piece
            return torch._VF.lstm(x, state, [w_ih, w_hh], *flags.values())[0]  # noqa: SLF001  # what torch.nn.LSTM calls

    return call


def _scaled(torch: Any) -> Call:
    """A product of two fp8 matrices with scales of one, in bf16."""

    def call(a: Any, b: Any) -> Any:
        scale = torch.ones((), device=a.device)
        # The second operand is column-major; both in e5m2 are refused everywhere, so the first carries the format.
        other = torch.float8_e4m3fnuz if "fnuz" in str(a.dtype) else torch.float8_e4m3fn
        right = b.to(torch.float32).to(other).t().contiguous().t()
        product = torch._scaled_mm(a, right, scale_a=scale, scale_b=scale, out_dtype=torch.bfloat16)  # noqa: SLF001  # it has no public name
        return product[0] if isinstance(product, tuple) else product  # torch 2.1 to 2.4 give the largest value beside it

    return call
