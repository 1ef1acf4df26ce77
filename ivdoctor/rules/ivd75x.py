"""IVD75x: failures read from a text, in training, sharding and communication."""

from collections.abc import Iterator

from ..facts import Failure, Place
from ..finding import Problem, Severity
from ..rule import rule
from ..text import say
from ._failures import SIXTEEN, common, fix, lacks_bf16, named, problem, where_bf16


@rule("IVD750", severity=Severity.ERROR, category="amp-gradscaler-misuse")
def gradscaler_refuses(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A GradScaler met gradients that it does not scale.

    It wants float32 gradients, hence float32 trainable parameters: `fp16=True` with a model loaded in float16 gives `Attempting to unscale
    FP16 gradients`; with one in bfloat16, `not implemented for 'BFloat16'`.

    ## Fix
    Trainable parameters in float32, frozen ones in 16 bits; or bfloat16 without a scaler.
    """
    if failure.category != "amp-gradscaler-misuse":
        return
    bf16 = failure.family == "unscale-bf16"
    upcast = fix(
        say("Keep the trainable parameters in float32; only frozen ones may be 16-bit"),
        "cast-module",
        "for parameter in model.parameters():\n    if parameter.requires_grad:\n        parameter.data = parameter.data.float()",
    )
    switch = fix(
        say("Train with bf16=True, which needs no scaler (on NVIDIA from compute capability 8.0 on)")
        if place is None
        else say("Train with bf16=True, which needs no scaler"),
        "bf16",
        "TrainingArguments(..., bf16=True, fp16=False)",
    )
    newer = fix(say("Or upgrade peft, which keeps adapters in float32 by itself"), "version", command="pip install -U peft")
    if failure.family == "no-inf-checks":
        yield problem(
            failure,
            say("the scaler saw no gradient: nothing that requires one was in the backward pass, or the scaler was not used for it"),
            (
                fix(
                    say("Let the loss go through the scaler, and give the optimizer parameters that require gradients"),
                    "other",
                    "scaler.scale(loss).backward()\nscaler.step(optimizer)\nscaler.update()",
                ),
            ),
            look_next=(say("whether anything has a gradient: `{code}`", code="sum(p.grad is not None for p in model.parameters())"),),
        )
        return
    ways = (upcast, newer) if lacks_bf16(place) else (switch, upcast, newer) if bf16 else (upcast, switch, newer)
    yield problem(
        failure,
        say("a GradScaler has no kernel for bfloat16 gradients, and bfloat16 needs no scaler")
        if bf16
        else say("a GradScaler met float16 gradients: the trainable parameters are float16"),
        ways,
        avoid=(
            say("casting trainable parameters to float16: that is what raises"),
            say("loading the model in float16 for `fp16=True`: autocast wants float32 weights"),
        ),
        more=named(place),
    )


@rule("IVD751", severity=Severity.ERROR, category="fsdp-uniform-dtype")
def sharded_parameters_differ(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    FSDP flattens the parameters of a unit into one tensor, and they have two dtypes.

    Typical for QLoRA: packed storage, adapters and norms each in their own.

    ## Fix
    Store the packed weights in the dtype of the rest, and give adapters and norms that dtype as well.
    """
    if failure.category != "fsdp-uniform-dtype":
        return
    dtype = "float16" if lacks_bf16(place) else "bfloat16"
    yield problem(
        failure,
        say("FSDP needs one dtype in each unit, and found {dtypes}", dtypes=say(" and ").join(f"torch.{one}" for one in failure.dtypes))
        if failure.dtypes
        else say("FSDP needs one dtype in each unit, and found several"),
        (
            fix(
                say("Load in one dtype, and store 4-bit weights in it as well{where}", where=where_bf16(place, dtype)),
                "load-dtype",
                f"dtype = torch.{dtype}\nconfig = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_storage=dtype)\n"
                "model = AutoModelForCausalLM.from_pretrained(path, quantization_config=config, torch_dtype=dtype)",
            ),
            fix(
                say("Give adapters and norms the same dtype before FSDP wraps the model"),
                "cast-module",
                "for parameter in model.parameters():\n    if parameter.dtype == torch.float32:\n        parameter.data = parameter.data.to(dtype)",
            ),
            *(
                ()
                if "expects" in failure.message  # FSDP2's own word
                else (fix(say("Or FSDP2 (`fully_shard`), which shards each parameter in its own dtype"), "version"),)
            ),
        ),
        avoid=(say("casting the packed weights themselves"),),
        look_next=(say("who differs: `{code}`", code="{n: p.dtype for n, p in model.named_parameters()}"),),
        more=named(place),
    )


@rule("IVD752", severity=Severity.ERROR, category="distributed-dtype-mismatch")
def ranks_gather_two_dtypes(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A collective operation got tensors of two dtypes.

    With ZeRO-3 the parameters were loaded in another dtype than the section of the DeepSpeed configuration names, or an adapter was
    added in float32.

    ## Fix
    One dtype for loading and for the configuration's `bf16` or `fp16` section; adapters in it as well.
    """
    if failure.category != "distributed-dtype-mismatch":
        return
    dtype = common(place, *failure.dtypes)
    dtype = dtype if dtype in SIXTEEN else "float16" if lacks_bf16(place) else "bfloat16"
    section = "fp16" if dtype == "float16" else "bf16"
    yield problem(
        failure,
        say("the ranks gather parameters of two dtypes: loading and configuration disagree, or an adapter stayed in float32"),
        (
            fix(
                say("Load in the dtype of the configuration's section, and spell that section right{where}", where=where_bf16(place, dtype)),
                "load-dtype",
                f'model = AutoModelForCausalLM.from_pretrained(path, torch_dtype=torch.{dtype})\nds_config["{section}"] = {{"enabled": True}}',
            ),
            fix(
                say("Give adapters and added heads the same dtype"),
                "cast-module",
                "model = get_peft_model(model, config, autocast_adapter_dtype=False)",
            ),
            fix(
                say("Or pin the DeepSpeed release that worked: some have this fault themselves"), "version", command="pip install deepspeed==VERSION"
            ),
        ),
        avoid=(say("a cast inside the collective: the next step gathers the same parameters"),),
        more=named(place),
    )
