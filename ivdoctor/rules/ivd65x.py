"""IVD65x: failures read from a text, in which numbers went wrong."""

from collections.abc import Iterator

from ..facts import Failure, Place
from ..finding import Problem, Severity
from ..rule import rule
from ..text import say
from ._failures import fix, lacks_bf16, named, problem

FIRST_BAD = (
    "def report(name):\n    def hook(module, args, output):\n        one = output[0] if isinstance(output, tuple) else output\n"
    "        if torch.is_tensor(one) and one.is_floating_point() and not one.isfinite().all():\n"
    '            raise RuntimeError(f"{name}: first not finite, {one.dtype}")\n    return hook\n'
    "for name, module in model.named_modules():\n    module.register_forward_hook(report(name))"
)
"""Names the first module whose output is not finite."""


NORMAL = 20
"""Steps of a loss scaler that are no reason to worry: from 65536 down to 1 it takes sixteen."""


@rule("IVD650", severity=Severity.ERROR, category="fp16-overflow")
def values_beyond_float16(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    Values left float16's range.

    It ends at 65504. Models trained in bfloat16 pass it in a few layers; the output is then NaN, a black image or `!!!!`. Masks filled
    with -1e9 or float32's minimum do not fit either.

    ## Fix
    bfloat16 where the GPU has it, else float32 for the whole model or for the part that overflows; a mask filled with its own dtype's minimum.
    """
    if failure.category != "fp16-overflow":
        return
    bf16 = fix(
        say("Run in bfloat16, which has float32's range (on NVIDIA from compute capability 8.0 on)")
        if place is None
        else say("Run in bfloat16, which has float32's range"),
        "bf16",
        "model = AutoModel.from_pretrained(path, torch_dtype=torch.bfloat16)",
    )
    fp32 = fix(
        say("Run in float32: the part that overflows (a VAE, attention), or all of it")
        if lacks_bf16(place) and failure.family != "constant"
        else say("Or in float32: the part that overflows (a VAE, attention), or all of it"),
        "fp32",
        "pipe.vae = pipe.vae.float()  # or: model = model.float()",
        command="accelerate launch SCRIPT --no_half_vae" if failure.family == "nan-latents" else "",
    )
    ways = (fp32,) if lacks_bf16(place) else (bf16, fp32)
    if failure.family == "webui-nan":
        vae = failure.op.lower() == "vae"
        ways = (
            fix(
                say("Run the VAE in float32, or take one that was made for float16")
                if vae
                else say("Upcast the attention to float32 in the settings, or run the U-Net without half precision"),
                "fp32",
                command=f"webui.sh --no-half{'-vae' if vae else ''}",
            ),
        )
    if failure.family == "constant":
        mask = fix(
            say("Take the limits of the tensor's own dtype: its minimum for a mask, its maximum for a large positive constant"),
            "cast-input",
            "scores = scores.masked_fill(mask, torch.finfo(scores.dtype).min)",
        )
        yield problem(
            failure,
            say("a constant is beyond float16's range, which ends at 65504"),
            (mask, *ways),
            avoid=(say("another constant, or clamping the result: this one does not fit the dtype"),),
            more=named(place),
        )
        return
    steps = failure.family == "scaler-steps"
    yield problem(
        failure,
        say("the loss scaler stepped down: a few times at the start are normal, again and again is an overflow of float16")
        if steps
        else say("values left float16's range, which ends at 65504"),
        ways,
        avoid=(
            say("clamping in the sampler: it hides the overflow and changes the output"),
            *((say("bfloat16 on a {title}: it has no bfloat16 arithmetic", title=place.title),) if lacks_bf16(place) and place else ()),
        ),
        look_next=(say("the first module that is not finite tells which part to keep wide; `ivdoctor check MODEL --dtype fp16` finds it"),),
        severity=None if not steps else Severity.WARNING if failure.count > NORMAL else Severity.NOTE,
        more=named(place),
    )


@rule("IVD651", severity=Severity.WARNING, category="neg-nonprecision-nan", confidence="possible")
def numbers_not_finite(failure: Failure) -> Iterator[Problem]:
    """
    A result is NaN or Inf, and the text does not say in which dtype.

    float16 beyond its range is the commonest reason. Others give the same line: broken communication between GPUs, damaged or missing
    weights, a learning rate, a division by zero, a temperature of zero. A change of dtype before one knows hides them.

    ## Fix
    Find the first module whose output is not finite, and its dtype.
    """
    if failure.category == "neg-nonprecision-nan":
        yield problem(
            failure,
            say("a result is not finite, and the text does not say in which dtype: it cannot decide between a dtype and a fault"),
            (fix(say("Find the first module whose output is not finite, and its dtype"), "other", FIRST_BAD),),
            avoid=(say("a change of dtype before that is known: with one GPU more, or with torn weights, the same line comes in every dtype"),),
            look_next=(
                say("if it says `torch.float16` behind large activations, values left its range: `ivdoctor rule IVD650`"),
                say("if it comes only with several GPUs, it is the communication: try one, and `NCCL_P2P_DISABLE=1`"),
                say(
                    "if the weights themselves are not finite, the checkpoint or its loading is at fault: `{code}`",
                    code="[n for n, p in model.named_parameters() if not p.isfinite().all()]",
                ),
            ),
        )


@rule("IVD652", severity=Severity.ERROR, category="constant-overflow")
def constant_beyond_the_dtype(failure: Failure) -> Iterator[Problem]:
    """
    A constant does not fit into the dtype of the tensor it is written to.

    float32's minimum does not even fit into bfloat16; 300 does not fit into uint8.

    ## Fix
    Take the limits of the tensor's own dtype.
    """
    if failure.category == "constant-overflow":
        yield problem(
            failure,
            say("a constant does not fit into {dtype}", dtype=f"torch.{failure.dtypes[0]}" if failure.dtypes else say("the tensor's dtype")),
            (
                fix(
                    say("Take the limits of the tensor's own dtype"), "cast-input", "scores = scores.masked_fill(mask, torch.finfo(scores.dtype).min)"
                ),
            ),
            avoid=(say("a change of the model's dtype: the constant is the fault"),),
        )
