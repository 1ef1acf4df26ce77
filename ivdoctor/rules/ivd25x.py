"""IVD25x: failures read from a text, in which the accelerator does not carry the format."""

from collections.abc import Iterator

from ..facts import Failure, Place
from ..finding import Fix, Problem, Severity
from ..rule import rule
from ..text import say
from ._failures import fix, lacks_bf16, lacks_fp16, named, problem, where_bf16

EMULATION = "`torch.cuda.is_bf16_supported()` says True for emulation since torch 2.4: ask `torch.cuda.get_device_capability() >= (8, 0)`"


def _without_bf16(failure: Failure, place: Place | None) -> tuple[Fix, ...]:
    """float16 first, and float32 for models that overflow in it; the other way round where float16 is crippled."""
    trainer = failure.family in ("bf16-trainer", "tf32-trainer") or "training" in failure.words
    engine = failure.family == "bf16-vllm" or "vllm" in failure.words
    half = fix(
        say(
            "Use float16 instead, in every place that sets the dtype (arguments, config, launcher, DeepSpeed file); it ends at 65504, so test the output"
        ),
        "fp16",
        "TrainingArguments(..., bf16=False, fp16=True, tf32=False)"
        if trainer
        else ""
        if engine
        else "model = AutoModel.from_pretrained(path, torch_dtype=torch.float16)",
        command="vllm serve MODEL --dtype half" if engine else "",
    )
    full = fix(
        say("Use float32 instead, in every place that sets the dtype: this GPU has no fast float16")
        if lacks_fp16(place)
        else say("Or float32, where the model overflows in float16: NaN, black images, `!!!!`"),
        "fp32",
        "TrainingArguments(..., bf16=False, fp16=False, tf32=False)"
        if trainer
        else ""
        if engine
        else "model = AutoModel.from_pretrained(path, torch_dtype=torch.float32)",
        command="vllm serve MODEL --dtype float32" if engine else "",
    )
    return (full, half) if lacks_fp16(place) else (half, full)


@rule("IVD250", severity=Severity.ERROR, category="bf16-unsupported-gpu")
def bfloat16_refused(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A program refused bfloat16 for this GPU.

    NVIDIA computes bfloat16 from compute capability 8.0 on. T4, V100, P100, RTX 20xx and older do not; PyTorch emulates it there, and
    engines and trainers refuse it outright. TF32 needs the same generation.

    ## Fix
    float16 in every place that sets the dtype, and float32 where the model overflows in float16; never bfloat16 in any form.
    """
    if failure.category == "bf16-unsupported-gpu" and failure.family == "tf32-trainer":
        yield problem(
            failure,
            say("TF32 was refused: it needs compute capability 8.0, as bfloat16 does"),
            (
                fix(say("Switch TF32 off; it changes the speed and a few digits, nothing else"), "other", "TrainingArguments(..., tf32=False)"),
                *_without_bf16(failure, place),
            ),
            avoid=(say("leaving `bf16=True` on a GPU below 8.0: it is refused next"),),
            look_next=(
                say("on a GPU of 8.0 or newer, torch was built without CUDA, or sees no GPU: `{code}`", code="torch.cuda.get_device_capability()"),
            ),
            more=named(place),
        )
    elif failure.category == "bf16-unsupported-gpu":
        known = place is not None and place.backend != "cpu"
        metal = "metal" in failure.message.lower()
        able = place is not None and place.backend != "cpu" and place.dtypes.bf16 == "native"
        seen = fix(
            say("Let the program see that GPU, and keep bfloat16: a torch with CUDA, `CUDA_VISIBLE_DEVICES`, the container's runtime"),
            "device",
            "print(torch.__version__, torch.cuda.is_available(), torch.cuda.get_device_name())",
        )
        yield problem(
            failure,
            say("{title} has no bfloat16: it needs compute capability 8.0", title=place.title)
            if place and known and lacks_bf16(place)
            else say("bfloat16 was refused, and a {title} has it: the program that refused does not see that GPU", title=place.title)
            if place and able
            else say("bfloat16 was refused: this Metal target does not compute it")
            if metal
            else say("bfloat16 was refused: it needs an NVIDIA GPU of compute capability 8.0 or newer"),
            (seen, *_without_bf16(failure, place)) if able else _without_bf16(failure, place),
            avoid=()
            if able
            else (
                say("bfloat16 in any form, autocast in bfloat16 included: what does not refuse emulates it"),
                say("casting only some of the places: one left in bf16 refuses again; `--tf32 True` refuses for the same reason"),
            ),
            look_next=()
            if (known and lacks_bf16(place)) or metal
            else (
                say(
                    "which GPU it is: `{code}`; from (8, 0) on, the refusal has another reason: a torch without CUDA, or none that sees the GPU",
                    code="torch.cuda.get_device_capability()",
                ),
            ),
            more=named(place),
        )


@rule("IVD251", severity=Severity.ERROR, category="bf16-gemm-unsupported-gpu")
def bfloat16_product_refused(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A matrix product whose operands are bfloat16 was refused by cuBLAS.

    `CUDA_R_16BF` in the call says it. Below compute capability 8.0 there is none; from there on, a cuBLAS that does not fit the driver
    gives the same status.

    ## Fix
    float16 or float32; and ask the compute capability, not `is_bf16_supported()`.
    """
    if failure.category == "bf16-gemm-unsupported-gpu":
        able = place is not None and place.backend != "cpu" and place.dtypes.bf16 == "native"
        repair = fix(
            say("This GPU has bfloat16: install torch and its CUDA libraries from one source, and a driver that fits them"),
            "version",
            command="pip install --force-reinstall torch",
        )
        yield problem(
            failure,
            say("cuBLAS refused a bfloat16 product on a GPU that has bfloat16: its libraries do not fit each other")
            if able
            else say("cuBLAS refused a bfloat16 product: this GPU has none below compute capability 8.0"),
            (repair, *_without_bf16(failure, place)) if able else _without_bf16(failure, place),
            avoid=() if able else (say("bfloat16 in any form"), say(EMULATION)),
            look_next=() if place else (say("which GPU it is: `{code}`", code="torch.cuda.get_device_capability()"),),
            more=named(place),
        )


@rule("IVD252", severity=Severity.ERROR, category="triton-bf16-needs-sm80")
def triton_kernel_in_bfloat16(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A Triton kernel was compiled with bfloat16 for a GPU older than compute capability 8.0.

    ptxas says `Feature '.bf16' requires .target sm_80`. torch.compile makes such kernels by itself.

    ## Fix
    float16; or leave out what compiles the kernel.
    """
    if failure.category == "triton-bf16-needs-sm80" and failure.needs not in ("", "sm_80"):
        yield problem(
            failure,
            say("a Triton kernel was compiled with `{op}`, an instruction that begins at {needs}", op=failure.op, needs=failure.needs),
            (
                fix(
                    say("Upgrade Triton (torch brings it): it chose an instruction that this GPU lacks, and has others for bfloat16"),
                    "version",
                    command="pip install -U torch",
                ),
                fix(
                    say("Or leave out what compiles the kernel: torch.compile, or the library's Triton path"),
                    "kernel",
                    "torch._dynamo.config.disable = True  # or drop torch.compile(model)",
                ),
            ),
            look_next=(say("which GPU it is: `{code}`; below (8, 0) take float16", code="torch.cuda.get_device_capability()"),),
            more=named(place),
        )
    elif failure.category == "triton-bf16-needs-sm80":
        yield problem(
            failure,
            say("a Triton kernel was compiled with bfloat16 for a GPU below compute capability 8.0"),
            (
                _without_bf16(failure, place)[0],
                fix(
                    say("Or leave out what compiles the kernel: torch.compile, or the library's Triton path"),
                    "kernel",
                    "torch._dynamo.config.disable = True  # or drop torch.compile(model)",
                ),
                _without_bf16(failure, place)[1],
            ),
            avoid=(say("bfloat16 in any form"),),
            more=named(place),
        )


@rule("IVD253", severity=Severity.ERROR, category="flash-attn-needs-half")
def flash_attention_got_float32(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    FlashAttention takes float16 and bfloat16 only, and got float32.

    The model was loaded without a dtype, so in float32; or a norm, a LoRA or a module of one's own returned float32 into a 16-bit model.
    The warning while a model is built is benign where the weights that are loaded afterwards are 16-bit.

    ## Fix
    Load with a 16-bit dtype; train under autocast; cast what returns float32 back; or take sdpa.
    """
    if failure.category != "flash-attn-needs-half":
        return
    warning = failure.family in ("flash-with-float32", "flash-needs-half-sdpa") or (failure.family == "flash-needs-half" and bool(failure.op))
    older = place is not None and place.compute_capability is not None and place.compute_capability < (8, 0)
    dtype = "float16" if lacks_bf16(place) else "bfloat16"
    plain = fix(
        say("Take an attention that this GPU has: FlashAttention 2 begins at compute capability 8.0")
        if older
        else say("Or take an attention that computes float32"),
        "attention",
        'model = AutoModel.from_pretrained(path, attn_implementation="sdpa")',
    )
    where = "" if place else say(" (bfloat16 needs compute capability 8.0, as FlashAttention 2 does)")
    yield problem(
        failure,
        say("FlashAttention takes float16 and bfloat16 only; the model is float32 where it is built")
        if warning
        else say("FlashAttention takes float16 and bfloat16 only, and got float32"),
        (plain,)
        if older
        else (
            fix(
                say("Load the model in a 16-bit dtype{where}", where=where),
                "load-dtype",
                f'model = AutoModelForCausalLM.from_pretrained(path, torch_dtype=torch.{dtype}, attn_implementation="flash_attention_2")',
            ),
            fix(
                say("Or train under autocast"),
                "autocast",
                f'TrainingArguments(..., {"fp16" if dtype == "float16" else "bf16"}=True)  # or: with torch.autocast("cuda", dtype=torch.{dtype}):',
            ),
            fix(
                say("Cast back what returns float32 into the model: a norm, a LoRA, a module of your own"),
                "cast-input",
                "hidden = self.norm(hidden).to(hidden.dtype)",
            ),
            plain,
        ),
        look_next=(
            (say("whether it is benign: `{code}` after loading; 16-bit means that nothing is wrong", code="next(model.parameters()).dtype"),)
            if warning
            else ()
        ),
        severity=Severity.WARNING if warning else None,
        more=named(place),
    )


@rule("IVD254", severity=Severity.ERROR, category="flash-attn-needs-ampere")
def flash_attention_on_an_old_gpu(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    FlashAttention 2 has no kernels for this GPU.

    It begins at compute capability 8.0. Models with code of their own often have a second switch for the vision part.

    ## Fix
    sdpa or eager attention in every place that chooses one, and float16 on such a GPU.
    """
    if failure.category != "flash-attn-needs-ampere":
        return
    able = place is not None and place.compute_capability is not None and place.compute_capability >= (8, 0)
    dtype = "torch.float16" if place is None or lacks_bf16(place) else "torch.bfloat16"
    yield problem(
        failure,
        say(
            "FlashAttention refused a {title}, which it should know: the process sees another device, or the package was built for another",
            title=place.title,
        )
        if able and place
        else say("FlashAttention 2 has no kernels below compute capability 8.0"),
        (
            fix(
                say("Take sdpa or eager attention, with float16 on a GPU below 8.0"),
                "attention",
                f'model = AutoModelForCausalLM.from_pretrained(path, attn_implementation="sdpa", torch_dtype={dtype})',
                command="VLLM_ATTENTION_BACKEND=XFORMERS vllm serve MODEL --dtype half" if "vllm" in failure.words else "",
            ),
            fix(
                say("Switch it off in every place that chooses it: a model's own code often has a second switch for its vision part"),
                "attention",
                "model = AutoModel.from_pretrained(path, use_flash_attn=False, trust_remote_code=True)  # and in config.json",
            ),
            fix(say("Or a GPU of compute capability 8.0 or newer"), "device", kind="hardware"),
        ),
        avoid=(say("a change of dtype alone: the kernel is missing for every dtype"),),
        look_next=(say("which device the process sees: `{code}`", code="torch.cuda.get_device_name(), torch.cuda.get_device_capability()"),),
        severity=Severity.NOTE if failure.message.lower().startswith("cannot use flashattention-2") else None,
        more=named(place),
    )


@rule("IVD255", severity=Severity.ERROR, category="fp8-unsupported-gpu")
def float8_refused(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    float8 was refused for this GPU.

    float8 products begin at compute capability 8.9 (Ada, Hopper, Blackwell) and at gfx94x. Below, engines run such weights weight-only,
    or refuse; Triton's `fp8e4nv` is the same format under its own name.

    ## Fix
    A checkpoint that is not float8, or one quantised to 4 bits; or dequantise on loading; or a GPU that has it.
    """
    if failure.category != "fp8-unsupported-gpu":
        return
    able = place is not None and place.dtypes.fp8_e4m3 == "native"
    wide = "float16" if lacks_bf16(place) or failure.has[:1] in ("6", "7") else "bfloat16"
    fixes = [
        fix(say("Take a checkpoint that is not float8: 16 bits, or 4 bits (AWQ, GPTQ) where memory is short"), "kernel"),
        fix(
            say(
                "Or dequantise on loading, at twice the memory, into {dtype}{where}",
                dtype=f"torch.{wide}",
                where="" if failure.has else where_bf16(place, wide),
            ),
            "load-dtype",
            f"config = FineGrainedFP8Config(dequantize=True)\nmodel = AutoModelForCausalLM.from_pretrained(path, quantization_config=config, torch_dtype=torch.{wide})",
        ),
        fix(say("Or a GPU that has float8: compute capability 8.9 or newer, gfx94x or newer"), "device", kind="hardware"),
    ]
    upgrade = fix(say("This GPU has float8: the gate is in the software, upgrade torch and the engine"), "version", command="pip install -U torch")
    if not able and place is None and "9.0" in failure.message:  # gates that later releases lowered to 8.9
        fixes.insert(1, fix(say("On an 8.9 (RTX 40xx, L4, L40): upgrade, later releases take it"), "version", command="pip install -U torch"))
    if "fp8-cache" in failure.words:
        fixes = [
            fix(
                say("Leave the KV cache in 16 bits: it is the cache that is float8 here, not the checkpoint"),
                "kernel",
                command="vllm serve MODEL --kv-cache-dtype auto",
            ),
            fix(say("Or a GPU that has float8: compute capability 8.9 or newer, gfx94x or newer"), "device", kind="hardware"),
        ]
    elif failure.family == "fp8-triton":
        fixes.insert(1, fix(say("In a kernel of your own: `float8_e5m2`, which Triton has for older GPUs"), "kernel"))
    yield problem(
        failure,
        say("float8 was refused on a {title}, which has it", title=place.title)
        if able and place
        else say("float8 products need compute capability 8.9 or newer"),
        [upgrade, *fixes] if able else fixes,
        avoid=(say("a cast of the packed float8 checkpoint to bfloat16 without its scales: the numbers would be wrong, without any error"),),
        look_next=()
        if place or failure.has
        else (say("which GPU it is: `{code}`; on an 8.9 an old torch or engine is to blame", code="torch.cuda.get_device_capability()"),),
        more=named(place),
    )


@rule("IVD256", severity=Severity.ERROR, category="quant-unsupported-gpu")
def quantisation_refused(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    The engine has no kernel of this quantisation for this GPU.

    Each scheme has a least compute capability: Marlin and most of compressed-tensors 8.0 (some 7.5), AWQ 7.5, GPTQ 6.0 or 7.0.

    ## Fix
    Another quantisation of the same model, or another GPU; no dtype changes it.
    """
    if failure.category == "quant-unsupported-gpu":
        numbers = (
            say(": it needs {needs}, the GPU is {has}", needs=_capability(failure.needs), has=_capability(failure.has))
            if failure.needs and failure.has
            else ""
        )
        half = " --dtype half" if lacks_bf16(place) or _below_80(failure.has) else ""
        others = _other_methods(failure, place)
        yield problem(
            failure,
            say("the engine has no kernel of this quantisation for this GPU{numbers}", numbers=numbers),
            (
                fix(
                    say("Take another quantisation of the same model that this GPU has: {methods}; or none", methods=", ".join(others))
                    if others
                    else say("Take the model without quantisation, or as GGUF: engines have no other kernel for this GPU"),
                    "kernel",
                    command=f"vllm serve MODEL-{others[0]} --quantization {others[0].lower()}{half}" if others else "",
                ),
                fix(say("Or a GPU that the scheme supports"), "device", kind="hardware"),
            ),
            avoid=(say("a change of dtype: the kernel is missing for every dtype"),),
            more=named(place),
        )


METHODS = {"AWQ": 75, "GPTQ": 60}
"""Classic quantisations and the least compute capability, times ten, of vLLM's kernels for them. Source: vLLM, get_min_capability, 2026-11-22."""


def _other_methods(failure: Failure, place: Place | None) -> list[str]:
    """Those that the GPU of the text can run, and that it did not just refuse; all of them where it is not known."""
    has = int(failure.has) if failure.has.isdigit() else 0
    if not has and place is not None and place.compute_capability:
        has = place.compute_capability[0] * 10 + place.compute_capability[1]
    return [name for name, least in METHODS.items() if (not has or has >= least) and failure.op.lower() != name.lower()]


def _capability(number: str) -> str:
    return f"{number[:-1]}.{number[-1]}" if number.isdigit() and len(number) > 1 else number


def _below_80(number: str) -> bool:
    return number.isdigit() and int(number) < 80  # noqa: PLR2004  # compute capability 8.0 as the message writes it
