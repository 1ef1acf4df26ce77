"""IVD55x: failures read from a text, in which an operator has no kernel for a dtype."""

from collections.abc import Iterator

from ..facts import Failure, Place, Torch, release
from ..finding import Problem, Severity
from ..rule import rule
from ..text import say
from ._failures import fix, lacks_bf16, problem, torch_name

CPU_HALF = (2, 2)
"""Since this torch matrix products and convolutions in float16 run on the CPU; layer_norm since 2.3. Source: operators run on 1.10 to 2.13, 2026-11-22."""

BF16_KERNELS = (2, 1)
"""Since this torch upsampling and triu take bfloat16. Source: survey of 318 public precision failures; operators run on 1.10 to 2.13."""

PRODUCT = ("@", "matmul(", "mm(", "einsum(")


@rule("IVD550", severity=Severity.ERROR, category="cpu-half-op-unsupported")
def half_on_the_cpu(failure: Failure, torch: Torch | None) -> Iterator[Problem]:
    """
    A float16 model ran on the CPU, and this torch has no CPU kernel for one of its operators.

    Either it was meant to run there, then float16 gains nothing: CPUs without float16 instructions are a hundred times slower in it. Or
    it was meant to run on the GPU, then the question is why it did not: a torch without CUDA, a module that an offload hook skipped,
    weights that were moved too late.

    ## Fix
    float32 on the CPU; or bring the model to the GPU it was meant for. Newer releases have more of these kernels.
    """
    if failure.category != "cpu-half-op-unsupported":
        return
    raised = failure.raised
    own_product = raised is not None and not raised.library and any(one in raised.code for one in PRODUCT)
    local = fix(say("Do this product of your own in float32"), "cast-input", "c = a.float() @ b.float()")
    without_cuda = torch is not None and not torch.cuda_available
    bring = fix(
        say("If it was meant for the GPU: this torch sees none; install a build with CUDA")
        if without_cuda
        else say("If it was meant for the GPU: find out why this part ran on the CPU (CUDA missing, a module that an offload hook skipped)"),
        "device",
        'print(torch.__version__, torch.cuda.is_available())\nmodel = model.to("cuda")',
    )
    whole = fix(
        say("If it was meant for the CPU: float32, model and floating inputs"),
        "fp32",
        "model = AutoModel.from_pretrained(path, torch_dtype=torch.float32)  # or: model = model.float()",
    )
    newer = fix(
        say("Or a newer torch: products in float16 run on the CPU since 2.2, layer_norm since 2.3; slowly"), "version", command="pip install -U torch"
    )
    if failure.family == "half-refused":
        benign = "using fp32 instead" in failure.message.lower()
        yield problem(
            failure,
            say("float16 is refused on the CPU, and float32 is used instead: nothing is wrong where the CPU was meant")
            if benign
            else say("float16 is refused on this device, mostly the CPU: no usable GPU was found, or none was asked for"),
            (bring, whole),
            avoid=(say("a cast to bfloat16 alone, where the GPU was meant: the model would still run on the CPU"),),
            look_next=(say("whether torch sees a GPU: `{code}`", code="torch.cuda.is_available(), torch.version.cuda"),),
            severity=Severity.NOTE if benign else None,
        )
        return
    yield problem(
        failure,
        say("`{op}` has no float16 kernel on the CPU in this torch: the model, or a part of it, runs on the CPU", op=failure.op)
        if failure.op
        else say("an operator has no float16 kernel on the CPU in this torch"),
        (local, whole, bring) if own_product else (whole, bring, newer),
        avoid=(say("a cast to bfloat16 alone, where the GPU was meant: the model would still run on the CPU"),),
        look_next=(say("where the parameters are: `{code}`", code="{p.device for p in model.parameters()}"),),
        more=_version(torch, CPU_HALF),
    )


def _version(torch: Torch | None, since: tuple[int, int]) -> Iterator[str]:
    if torch is not None:
        old = release(torch.version)[:2] < since
        yield say("the torch of this text is {version}", version=torch.version) + (say(", older than {since}", since="%d.%d" % since) if old else "")


@rule("IVD551", severity=Severity.ERROR, category="bf16-op-unsupported")
def no_bfloat16_kernel(failure: Failure, torch: Torch | None) -> Iterator[Problem]:
    """
    An operator has no bfloat16 kernel in this torch.

    A matter of the release, not of the hardware: upsampling, `triu` and others came with torch 2.1, some linear algebra never.

    ## Fix
    Upgrade torch; or run that one operator in float32 and cast back.
    """
    if failure.category == "bf16-op-unsupported":
        yield problem(
            failure,
            say("this CPU lacks the instructions that oneDNN's bfloat16 path needs")
            if failure.family == "bf16-cpu-path"
            else say("`{op}` has no bfloat16 kernel in this torch", op=failure.op)
            if failure.op
            else say("an operator has no bfloat16 kernel in this torch"),
            (
                fix(say("Upgrade torch: most of these kernels came with 2.1"), "version", command='pip install -U "torch>=2.1"'),
                fix(
                    say("Or run that one operator in float32 and cast back"),
                    "cast-input",
                    "y = F.interpolate(x.float(), scale_factor=2).to(x.dtype)" if "upsample" in failure.op else "y = operator(x.float()).to(x.dtype)",
                ),
                fix(say("Or run the model in float32, or in float16 where its values stay below 65504"), "fp32", "model = model.float()"),
            ),
            avoid=(say("another GPU: it gives the same"),),
            more=_version(torch, BF16_KERNELS),
        )


@rule("IVD552", severity=Severity.ERROR, category="half-op-unsupported-fft")
def fft_in_half_precision(failure: Failure) -> Iterator[Problem]:
    """
    A Fourier transform was asked for in a format that the library does not take.

    CPU libraries take float32 and float64; cuFFT takes float16 for sizes that are powers of two, and no bfloat16.

    ## Fix
    Run the transform in float32.
    """
    if failure.category == "half-op-unsupported-fft":
        yield problem(
            failure,
            say("Fourier transforms take float32 and float64; float16 only on CUDA for sizes that are powers of two"),
            (
                fix(say("Run the transform in float32"), "cast-input", "spectrum = torch.fft.rfft(x.float())"),
                fix(
                    say("Under autocast: switch it off around the transform"),
                    "autocast",
                    'with torch.autocast("cuda", enabled=False):\n    spectrum = torch.fft.rfft(x.float())',
                ),
            ),
            avoid=(say("another 16-bit format: bfloat16 is refused as well"),),
        )


@rule("IVD553", severity=Severity.ERROR, category="op-dtype-unsupported")
def operator_takes_few_dtypes(failure: Failure) -> Iterator[Problem]:
    """
    An operator takes wide formats only, on every device and in every release.

    Linear algebra (`inv`, `svd`, `pinv`, `slogdet`), quantiles, complex numbers and quantisation have no 16-bit kernels.

    ## Fix
    Run that one operator in float32 and cast back.
    """
    if failure.category == "op-dtype-unsupported":
        dtype = next((one for one in failure.dtypes), "")
        algebra = any(word in f"{failure.op} {failure.message}".lower() for word in ("linalg", "inv", "svd", "qr", "eig", "cholesky", "pinv"))
        yield problem(
            failure,
            say("`{op}` does not take {dtype}", op=failure.op, dtype=torch_name(dtype))
            if failure.op and dtype
            else say("an operator takes wide formats only, whatever the device"),
            (
                fix(
                    say("Run that one operator in float32 and cast back"),
                    "cast-input",
                    "y = torch.linalg.inv(x.float()).to(x.dtype)  # the operator that raises" if algebra else "y = operator(x.float()).to(x.dtype)",
                ),
                *(
                    (fix(say("Or upgrade the package that brings the operator: its kernels are its own"), "version"),)
                    if failure.family == "not-implemented" and not algebra
                    else ()
                ),
            ),
            avoid=(say("another GPU or another 16-bit format: both give the same"),),
        )


@rule("IVD554", severity=Severity.ERROR, category="neg-missing-dtype")
def torch_lacks_the_dtype(failure: Failure, torch: Torch | None) -> Iterator[Problem]:
    """
    The installed torch does not have the dtype.

    float8 came with torch 2.1, the unsigned integers with 2.3, float8_e8m0fnu with 2.7.

    ## Fix
    Upgrade torch, or take the release of the library that fits the torch that is there.
    """
    if failure.category == "neg-missing-dtype":
        yield problem(
            failure,
            say("this torch has no `torch.{name}`", name=failure.needs)
            if failure.needs
            else say("an operation met dtypes for which this torch has no common one: seen where float8 meets others in torch 2.1")
            if "TypeMeta" in failure.message
            else say("this torch does not have the dtype that is asked for"),
            (
                fix(
                    say("Upgrade torch: float8 came with 2.1, the unsigned integers with 2.3, float8_e8m0fnu with 2.7"),
                    "version",
                    command="pip install -U torch",
                ),
                fix(say("Or take a release of the library that fits this torch"), "version"),
            ),
            avoid=(say("a cast: the dtype itself is missing"),),
            more=_version(torch, (2, 1)),
        )


@rule("IVD555", severity=Severity.ERROR, category="mps-dtype-unsupported")
def mps_lacks_the_dtype(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    Apple's Metal does not take the dtype.

    It has no float64 at all; bfloat16 needs macOS 14 and a torch that knows it, and M1 and M2 emulate it.

    ## Fix
    float64: cast to float32 before the move to the device. bfloat16: float16, or float32.
    """
    if failure.category != "mps-dtype-unsupported":
        return
    wide = "float64" in failure.dtypes or "float64" in failure.message.lower()
    small = next((one for one in failure.dtypes if one.startswith("float8")), "")
    if small:
        yield problem(
            failure,
            say("Metal has no {dtype}", dtype=f"torch.{small}"),
            (
                fix(say("Take a checkpoint that is not float8"), "kernel"),
                fix(say("Or dequantise it into float16 before the move to the device"), "load-dtype", "weight = (weight.float() * scale).half()"),
            ),
            avoid=(say("a plain cast of a scaled float8 checkpoint: it loses the scales"),),
        )
    elif failure.family == "mps-accumulator" or len(set(failure.dtypes)) > 1:
        yield problem(
            failure,
            say("a matrix product on Metal got operands of two dtypes; Metal asserts where CUDA would raise"),
            (
                fix(say("Cast both operands to one dtype before the product"), "cast-input", "x = x.to(layer.weight.dtype)"),
                fix(say("Or run model and inputs in float32"), "fp32", "model = model.float()"),
            ),
            avoid=(say("float64: Metal has none"),),
        )
    elif wide:
        yield problem(
            failure,
            say("Metal has no float64: something made one, mostly NumPy or a rotary embedding"),
            (
                fix(say("Cast to float32 before the move to the device"), "cast-input", 'x = x.to(torch.float32).to("mps")'),
                fix(say("Upgrade the library that makes it: many have learned this since"), "version", command="pip install -U transformers"),
            ),
            avoid=(say("a 16-bit cast: it is not needed for this"),),
        )
    else:
        yield problem(
            failure,
            say("this Metal backend takes no bfloat16"),
            (
                fix(
                    say("Run in float16, where the model's values stay below 65504"),
                    "fp16",
                    'model = AutoModel.from_pretrained(path, torch_dtype=torch.float16).to("mps")',
                ),
                fix(say("Or in float32, on Metal or on the CPU"), "fp32", "model = AutoModel.from_pretrained(path, torch_dtype=torch.float32)"),
                fix(say("Or upgrade: macOS 14 and torch 2.3 know bfloat16, which M1 and M2 emulate"), "version"),
            ),
            avoid=(say("`model.to(torch.bfloat16)` here"),) if lacks_bf16(place) or place is None else (),
        )


@rule("IVD556", severity=Severity.ERROR, category="neg-other")
def primitive_not_created(failure: Failure, torch: Torch | None) -> Iterator[Problem]:
    """
    A primitive could not be made by oneDNN, and its message names no dtype.

    Seen with bfloat16 on torch 2.0 to 2.3 where the CPU has no instructions for it, and with states of a recurrent layer in another
    dtype than its weights; seen with shapes and memory formats, too. The text cannot tell.

    ## Fix
    Print the dtypes of the call; upgrade torch where it is older than 2.4.
    """
    if failure.category == "neg-other":
        yield problem(
            failure,
            say("oneDNN could not make a primitive, and does not say whether for a dtype, a shape or a memory format"),
            (fix(say("Upgrade torch where it is older than 2.4"), "version", command="pip install -U torch"),),
            avoid=(say("a blind cast: the text names no dtype"),),
            look_next=(
                say("run again with `ONEDNN_VERBOSE=all`: the last lines name the data types (`f32`, `bf16`, `f16`) and the shapes"),
                say("print the dtypes of input, weights and, for a recurrent layer, its states"),
            ),
            more=_version(torch, (2, 4)),
        )
