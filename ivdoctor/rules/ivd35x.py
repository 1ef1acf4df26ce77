"""IVD35x: failures read from a text, in which quantised weights meet what cannot compute with them."""

from collections.abc import Iterator

from ..facts import Failure, Place
from ..finding import Fix, Problem, Severity
from ..rule import rule
from ..text import say
from ._failures import SIXTEEN, common, fix, lacks_bf16, named, problem, torch_name, where_bf16

PACKED = ("uint8", "int8", "int32")
"""What packed weights are stored in."""


@rule("IVD350", severity=Severity.ERROR, category="fp8-dtype-mismatch")
def float8_in_an_ordinary_operator(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A float8 tensor reached an operator that computes in wider formats only.

    float8 has no promotion and hardly any kernels: it is a format to store weights in. Whatever is not a scaled float8 matrix product
    must get them back in bfloat16 or float16 first.

    ## Fix
    Keep float8 for storage, and cast the weight to the compute dtype where it is used; keep norms, biases and modulation in the compute dtype.
    """
    if failure.category == "fp8-dtype-mismatch":
        dtype = "float16" if lacks_bf16(place) else "bfloat16"
        yield problem(
            failure,
            say("a float8 tensor reached an operator that computes in wider formats only"),
            (
                fix(
                    say("Cast the weight to the input's dtype where it is used"),
                    "cast-input",
                    "weight = self.weight.to(x.dtype)  # its scale applied, where it has one",
                ),
                fix(
                    say("Store in float8, compute in 16 bits: set the compute dtype beside the storage dtype{where}", where=where_bf16(place, dtype)),
                    "load-dtype",
                    f"module.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.{dtype})  # diffusers",
                ),
                fix(say("Or take a checkpoint that is not float8, or switch the option off that makes it so"), "kernel"),
            ),
            avoid=(
                say("waiting for a promotion: torch has none for float8"),
                say("a plain cast of a scaled float8 checkpoint: it loses the scales, dequantise instead"),
            ),
            more=named(place),
        )


@rule("IVD351", severity=Severity.ERROR, category="quant-kernel-dtype")
def quantised_weight_or_kernel_refuses(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A quantised model met a dtype that its kernel does not take, or packed weights an operator that does not know them.

    AWQ and most GPTQ kernels compute in float16 alone. Packed weights are `torch.uint8` or integers: a plain product with them says
    that the module was not replaced by its quantised kernel.

    ## Fix
    Run with float16, or with a kernel that takes bfloat16 (Marlin); leave the module that raises out of the quantisation.
    """
    if failure.category != "quant-kernel-dtype":
        return
    half = fix(
        say("Run the model in float16: the kernel takes nothing else"),
        "fp16",
        "model = AutoModelForCausalLM.from_pretrained(path, torch_dtype=torch.float16)",
        command="vllm serve MODEL --dtype half" if "vllm" in failure.words or failure.family == "quant-method-dtype" else "",
    )
    if failure.family in ("quant-kernel-16", "bnb-blockwise", "not-implemented"):
        yield _kernel_of_its_own(failure, place)
        return
    packed = any(one in PACKED for one in failure.dtypes)
    kernel = fix(
        say("Leave the module that raises out of the quantisation, or install the kernel that knows its weights")
        if packed
        else say("Or take a checkpoint in another format, or one that is not quantised")
        if lacks_bf16(place)
        else say("Or take a kernel or a checkpoint that computes in bfloat16 (Marlin, compressed-tensors)"),
        "kernel",
        "BitsAndBytesConfig(load_in_4bit=True, llm_int8_skip_modules=[...])" if packed else "",
        command="vllm serve MODEL --quantization awq_marlin" if failure.op == "awq" and not lacks_bf16(place) else "",
    )
    upgrade = fix(say("Or upgrade the quantisation's library, which replaces more modules"), "version", command="pip install -U bitsandbytes")
    yield problem(
        failure,
        say(
            "packed weights ({dtypes}) met an operator that does not know them",
            dtypes=", ".join(torch_name(one) for one in failure.dtypes if one in PACKED),
        )
        if packed
        else say("the quantisation's kernel does not take this dtype"),
        (kernel, upgrade) if packed else (half, kernel),
        avoid=(
            say("casting the packed weights: they are codes, not numbers"),
            *(() if packed else (say("bfloat16 for this kernel: a model that overflows in float16 needs another quantisation"),)),
        ),
        more=named(place),
    )


def _kernel_of_its_own(failure: Failure, place: Place | None) -> Problem:
    """A kernel that names what it takes: 16 bits, bfloat16 alone, unpacked weights, integers."""
    weight = next((one.dtype for one in failure.operands), "")
    packed = say("casting the packed weights: they are codes, not numbers")
    if failure.family == "bnb-blockwise" and weight == "bfloat16":
        newer = fix(say("Upgrade bitsandbytes: later releases quantise bfloat16"), "version", command="pip install -U bitsandbytes")
        return problem(failure, say("this bitsandbytes does not quantise bfloat16"), (newer,), avoid=(packed,), more=named(place))
    if failure.family in ("bnb-blockwise", "not-implemented"):
        whole = fix(say("Load weights that are not quantised yet, or leave out the second quantisation: these are packed already"), "kernel")
        newer = fix(
            say("Or upgrade the quantisation's library, whose own kernel should have taken them"), "version", command="pip install -U bitsandbytes"
        )
        return problem(
            failure,
            say("packed weights reached an operator that takes numbers, or numbers one that unpacks"),
            (whole, newer),
            avoid=(packed,),
            more=named(place),
        )
    wants_bf16 = ("float16 or" not in failure.message and "bfloat16" in (failure.needs or weight)) or "bfloat16 tensor" in failure.message
    dtype = "bfloat16" if wants_bf16 and not lacks_bf16(place) else "float16"
    other = fix(say("Or take a quantisation whose kernel computes in what this GPU has"), "kernel")
    ways = () if wants_bf16 and lacks_bf16(place) else (_in(dtype, wants_bf16=wants_bf16),)
    return problem(failure, say("the quantisation's kernel takes 16-bit inputs only"), (*ways, other), avoid=(packed,), more=named(place))


def _in(dtype: str, *, wants_bf16: bool) -> Fix:
    title = (
        say("Run the model in bfloat16, which this kernel wants") if wants_bf16 else say("Run the model in a 16-bit dtype, which this kernel wants")
    )
    return fix(title, "bf16" if wants_bf16 else "load-dtype", f"model = AutoModelForCausalLM.from_pretrained(path, torch_dtype=torch.{dtype})")


@rule("IVD352", severity=Severity.ERROR, category="peft-kbit-dtype-mismatch")
def kbit_parts_disagree(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A 4- or 8-bit base model, its adapter and its norms disagree on the dtype to compute in.

    Four dtypes take part: the packed storage, `bnb_4bit_compute_dtype`, the dtype of the layers that were not quantised, and the
    adapter's, which peft keeps in float32.

    ## Fix
    Load with the same dtype as the compute dtype, and train under autocast in it.
    """
    if failure.category != "peft-kbit-dtype-mismatch":
        return
    dtype = "float16" if lacks_bf16(place) else common(place, *failure.dtypes) or "bfloat16"
    dtype = dtype if dtype in SIXTEEN else "float16" if lacks_bf16(place) else "bfloat16"
    yield problem(
        failure,
        say("a 4- or 8-bit base model and what was added to it compute in two dtypes"),
        (
            fix(
                say("Load with one dtype for computing and for what is not quantised{where}", where=where_bf16(place, dtype)),
                "load-dtype",
                f"dtype = torch.{dtype}\nconfig = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype)\n"
                "model = AutoModelForCausalLM.from_pretrained(path, quantization_config=config, torch_dtype=dtype)",
            ),
            fix(say("In a kernel of your own: cast the activation to the dequantised weight's dtype"), "cast-input", "x = x.to(weight.dtype)"),
            fix(
                say("Train under autocast in that dtype"),
                "autocast",
                f'with torch.autocast("cuda", dtype=torch.{dtype}):\n    loss = model(**batch).loss',
            ),
            fix(say("Upgrade peft and unsloth, which have mended several of these"), "version", command="pip install -U peft"),
        ),
        avoid=(say("casting the packed weight (`torch.uint8`): it holds codes, not numbers"),),
        more=named(place),
        severity=Severity.WARNING if failure.family == "linear4bit-compute" else None,
    )
