"""IVD46x: failures read from a text that look like a clash of dtypes and are none: never a cast."""

from collections.abc import Iterator

from ..facts import INTEGERS, Failure
from ..finding import Problem, Severity
from ..rule import rule
from ..text import say
from ._failures import fix, problem


@rule("IVD460", severity=Severity.ERROR, category="neg-device-mismatch")
def tensors_on_two_devices(failure: Failure) -> Iterator[Problem]:
    """
    Tensors on two devices met.

    Some messages look like a clash of dtypes: `torch.cuda.HalfTensor` against `torch.HalfTensor` is one dtype on two devices. A module
    was made after `.to(device)`, sits in a Python list, or was left behind by a device map.

    ## Fix
    Move what was left behind to the device; no dtype is wrong.
    """
    if failure.category != "neg-device-mismatch":
        return
    looks_like = len({one.device for one in failure.operands if one.device}) > 1
    devices = say(" and ").join(dict.fromkeys(one.device for one in failure.operands if one.device))
    if failure.family == "meta-tensor":
        yield problem(
            failure,
            say("a tensor was still on the meta device: it has a shape and no numbers"),
            (
                fix(
                    say("Load the weights before moving the model, or give it memory first"),
                    "device",
                    'model = model.to_empty(device="cuda")  # then load the state dict',
                ),
                fix(say("Or leave `low_cpu_mem_usage` and `device_map` to from_pretrained, and do not call `.to()` behind it"), "device"),
            ),
            avoid=(say("a cast: no dtype is wrong"),),
        )
        return
    yield problem(
        failure,
        say("the message names tensor types, and what differs is the device: {devices}", devices=devices)
        if looks_like
        else say("tensors on two devices met"),
        (
            *(
                (
                    fix(
                        say("Move it to the other's device; its dtype differs as well, so give it both"),
                        "device",
                        "x = x.to(layer.weight.device, layer.weight.dtype)",
                    ),
                )
                if looks_like and len(set(failure.dtypes)) > 1
                else ()
            ),
            fix(
                say("Move what was left behind to the model's device: inputs, a module made after `.to(device)`, a loss, modules in a plain list"),
                "device",
                "model = model.to(device)  # behind every change to its modules\ninputs = {name: one.to(device) for name, one in inputs.items()}",
            ),
            fix(
                say("Where a model repository's own code raises and you moved nothing: pin the transformers release that it names"),
                "version",
                command="pip install transformers==VERSION  # the one in the repository's config.json or README",
            ),
            fix(
                say("With several GPUs, a Triton kernel of the library needs its own device"),
                "device",
                "with torch.cuda.device(x.device):\n    y = kernel(x)",
            )
            if "triton" in failure.message.lower()
            else fix(
                say("With several GPUs: keep parts that exchange tensors together in the device map"),
                "device",
                "" if "mps" in failure.message.lower() else 'device_map = "cuda:0"  # or a map that keeps them on one',
            ),
        ),
        avoid=() if looks_like and len(set(failure.dtypes)) > 1 else (say("a cast: the dtypes agree, or do not matter here"),),
        look_next=(say("what sits elsewhere: `{code}`", code="{name: p.device for name, p in model.named_parameters()}"),),
    )


@rule("IVD461", severity=Severity.ERROR, category="neg-shape-mismatch")
def shapes_do_not_fit(failure: Failure) -> Iterator[Problem]:
    """
    Tensors met whose shapes do not fit.

    `mat1 and mat2 shapes cannot be multiplied` begins like the message about dtypes. The wrong checkpoint, encoder, adapter or version is
    at work, or an input was shaped for another model.

    ## Fix
    Take the parts that belong together; no dtype is wrong.
    """
    if failure.category == "neg-shape-mismatch":
        sizes = say(" ({has} and {needs})", has=failure.has, needs=failure.needs) if failure.has and failure.needs else ""
        yield problem(
            failure,
            say("the shapes do not fit{sizes}: the parts do not belong together", sizes=sizes),
            (
                fix(
                    say("Take the checkpoint, encoder or adapter that belongs to this model, and the version of the code that belongs to both"),
                    "other",
                ),
            ),
            avoid=(say("a cast: a dtype changes no shape"),),
            look_next=(say("compare the sizes with `hidden_size` and its like in both parts' config.json"),),
        )


@rule("IVD462", severity=Severity.ERROR, category="neg-integer-dtype")
def integers_expected_or_found(failure: Failure) -> Iterator[Problem]:
    """
    An operator got integers where it takes floating numbers, or floating numbers where it takes indices.

    Token ids, class targets and indices are `torch.long`; masks are bool; images are `torch.uint8` until somebody converts them.

    ## Fix
    `.long()` on ids, targets and indices, `.bool()` on masks, `.float()` and a division by 255 on images.
    """
    if failure.category != "neg-integer-dtype":
        return
    dtypes = {one.role: one.dtype for one in failure.operands}
    image = "uint8" in dtypes.values() or "uint8" in failure.message.lower()
    floats = {"float16", "bfloat16", "float32", "float64"}
    bits = failure.family == "not-implemented" and not any(one in INTEGERS for one in failure.dtypes)
    wants_index = failure.family in ("index-types", "index-tensors") or dtypes.get("expected") == "int64"
    if "require gradients" in failure.message:
        cure = fix(say("Ask for no gradient of integers: packed and quantised weights have none"), "other", "parameter.requires_grad_(False)")
        message = say("a gradient was asked for of a tensor of integers")
    elif failure.family in ("index-put", "masked-scatter", "index-copy", "index-add"):
        cure = fix(
            say("Make the buffer in the dtype of what is written to it; a cast of floating numbers to integers would cut them off")
            if dtypes.get("source") in floats
            else say("Convert the source to the buffer's integer type where it is written"),
            "other",
            "buffer = torch.zeros(shape, dtype=source.dtype, device=source.device)"
            if dtypes.get("source") in floats
            else "buffer[index] = source.to(buffer.dtype)",
        )
        message = say("a buffer of integers, and values of another type that are written to it")
    elif bits:
        cure = fix(say("Convert to integers before this operator: bits of floating numbers have no meaning here"), "other", "x = x.long()")
        message = say("floating numbers reached an operator that works on the bits of integers")
    elif wants_index and not (dtypes.get("found") in floats and dtypes.get("expected") not in ("int64", None, "")):
        cure = fix(say("Convert ids, targets and indices to integers, and masks to bool"), "other", "labels = labels.long()  # masks: mask.bool()")
        message = say("an index, a target or a mask has a dtype that the operator does not take")
    elif image:
        cure = fix(say("Convert the image to floating numbers first"), "other", "x = x.to(next(model.parameters()).dtype) / 255")
        message = say("raw bytes reached a layer that computes in floating numbers: an image nobody converted")
    else:
        cure = fix(say("Convert the integers to floating numbers before this operator"), "other", "x = x.float()")
        message = say("integers reached an operator that takes floating numbers")
    yield problem(
        failure,
        message,
        (cure,),
        avoid=(say("a 16-bit cast: float16 and bfloat16 do not hold token ids exactly, and the dtype of the model is right"),),
    )


@rule("IVD463", severity=Severity.ERROR, category="neg-index-out-of-range")
def index_out_of_range(failure: Failure) -> Iterator[Problem]:
    """
    An index is outside the table it looks into.

    On the GPU it shows as `device-side assert triggered`, reported at a later and innocent line. Mostly a token id beyond the vocabulary:
    tokens were added and the embedding was not resized, or tokenizer and model do not belong together; or a label beyond the classes.

    ## Fix
    Find the index on the CPU, where the message is true, and make the table or the index right.
    """
    if failure.category == "neg-index-out-of-range":
        yield problem(
            failure,
            say("an assertion inside a kernel failed: mostly an index outside the table it looks into")
            if "device-side" in failure.message and "ndex" not in failure.message
            else say("an index is outside the table it looks into"),
            (
                fix(say("Compare the largest id with the table"), "other", "assert input_ids.max() < model.get_input_embeddings().num_embeddings"),
                fix(say("Resize the embedding where tokens were added"), "other", "model.resize_token_embeddings(len(tokenizer))"),
            ),
            avoid=(say("a cast: no dtype is wrong"),),
            look_next=(
                say("run once with `CUDA_LAUNCH_BLOCKING=1`, or on the CPU: the traceback then points at the line"),
                say("the line above it in the log names the assertion; one about probabilities in a sampler means NaN: `ivdoctor rule IVD651`"),
            ),
        )
