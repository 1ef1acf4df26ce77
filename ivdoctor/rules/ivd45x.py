"""IVD45x: failures read from a text, in which tensors of two dtypes meet."""

from collections.abc import Iterator

from ..facts import Failure, Mismatch, Place
from ..finding import Fix, Problem, Severity
from ..rule import rule
from ..text import say
from ._failures import FOREIGN, SIXTEEN, common, elsewhere, fix, lacks_bf16, lacks_fp16, named, pair, problem, torch_name, tried, variable, where_bf16

PROMOTED = (
    "the message names the dtypes where they meet; a float32 there may have come from a promotion or a float32 norm upstream of what you passed"
)
DTYPES = "from collections import Counter\nprint(Counter(p.dtype for p in model.parameters()), Counter(b.dtype for b in model.buffers()))"


@rule("IVD450", severity=Severity.ERROR, category="conv-input-param-dtype-mismatch")
def input_and_weights_differ(failure: Failure, place: Place | None, mismatch: Mismatch | None) -> Iterator[Problem]:
    """
    A layer got an input in another dtype than its weights.

    Convolutions, patch embeddings and recurrent layers compare the two and refuse. The usual way there: the model was loaded or cast to
    one dtype, and the pixels or the audio were cast to another, by a literal of their own or by none at all, for processors emit float32.

    ## Fix
    Cast the floating input to the dtype of the weights; or cast the whole model once and the input from the same variable. Never cast one
    bias or one weight alone, and never token ids.
    """
    if failure.category != "conv-input-param-dtype-mismatch":
        return
    given, weights = pair(failure, ("input",), ("weight", "bias", "parameter"))
    if not given and not weights:
        given, weights = pair(failure, ("expected",), ("found",))
    name, target = variable(failure, "x"), common(place, given, weights)
    keep = weights and not (weights == "bfloat16" and lacks_bf16(place)) and not (weights == "float16" and lacks_fp16(place))
    better = weights == "float16" and target == "bfloat16" and place is not None and place.dtypes.bf16 == "native"
    to_weights = fix(
        say("Cast the input to the dtype of the weights, {dtype}", dtype=torch_name(weights))
        if weights
        else say("Cast the input to the dtype of the weights"),
        "cast-input",
        f"{name} = {name}.to(torch.{weights})" if weights else f"{name} = {name}.to(next(model.parameters()).dtype)",
        trial=tried(mismatch, weights, given, "cast-input"),
    )
    dtype = f"torch.{target}" if target else "next(model.parameters()).dtype"
    whole = fix(
        say("Cast the whole model once, and the input from the same variable{where}", where=where_bf16(place, target)),
        "cast-model" if target in (given, weights, "") else {"float16": "fp16", "float32": "fp32"}[target],
        f"dtype = {dtype}\nmodel = model.to(dtype)\n{name} = {name}.to(dtype)",
        trial=tried(mismatch, weights, given, "cast-model") if target == given else None,
    )
    load = fix(
        say("Or load every part in that dtype"),
        "load-dtype",
        f"model = AutoModel.from_pretrained(path, torch_dtype={dtype})  # `dtype=` since transformers 4.56" if target else "",
    )
    yield problem(
        failure,
        say(
            "a layer with weights in {weights} got an input in {given}: model and input were cast apart",
            weights=torch_name(weights),
            given=torch_name(given),
        ),
        elsewhere(failure) or ((whole, to_weights, load) if better else (to_weights, whole, load) if keep or not weights else (whole, load)),
        avoid=_casting(failure, place),
        look_next=(say("print both sides just before the call: `{code}`", code=f"print({name}.dtype, next(model.parameters()).dtype)"),),
        more=named(place),
    )


def _casting(failure: Failure, place: Place | None) -> Iterator[str]:
    yield say("casting the one bias or weight that the message names: the next layer raises")
    yield say("casting token ids or masks: only floating tensors are meant")
    if lacks_bf16(place) and "bfloat16" in failure.dtypes:
        yield say("`model.to(torch.bfloat16)` on a {title}: it has no bfloat16 arithmetic", title=place.title if place else "")


@rule("IVD451", severity=Severity.ERROR, category="matmul-dtype-mismatch")
def matrices_differ(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A matrix product got two floating dtypes.

    One of the two was made elsewhere: noise, a cache, a mask or a position embedding created in float32; a part of a pipeline that was
    loaded in another dtype; a LoRA or a head whose parameters stayed in float32; a norm that keeps float32 and hands it on. PyTorch
    promotes in additions and refuses in products, so the line that raises is often one layer behind the line that is wrong.

    ## Fix
    Cast the tensor that was made in the other dtype, where it is made. Where parameters are mixed on purpose, as in training, run the
    forward under autocast.
    """
    if failure.category != "matmul-dtype-mismatch":
        return
    first, second = pair(
        failure, ("mat1", "found", "first", "tensor", "self", "input", "input1"), ("mat2", "expected", "second", "other", "batch1", "input2")
    )
    yield problem(
        failure,
        _product(failure, first, second),
        elsewhere(failure) or _products(failure, first, second, place),
        avoid=()
        if failure.family in FOREIGN
        else (
            say("casting packed weights (`torch.uint8`, `torch.int8`) to a float dtype: they are codes, not numbers"),
            say("one `.to()` on a weight inside the library: find the tensor that was made in the other dtype"),
        ),
        look_next=(
            say(PROMOTED),
            say(
                "count the model's dtypes: more than one means that a part was loaded, kept or added in another: `{code}`",
                code=DTYPES.splitlines()[1],
            ),
        ),
        more=named(place),
    )


def _product(failure: Failure, first: str, second: str) -> str:
    if not (first and second):
        return say("a matrix product got operands of two dtypes; this torch does not say which")
    if failure.family == "scalar-type":
        return say("an operator wanted {second} and found {first}", first=torch_name(first), second=torch_name(second))
    return say("a matrix product got {first} and {second}", first=torch_name(first), second=torch_name(second))


def _products(failure: Failure, first: str, second: str, place: Place | None) -> Iterator[Fix]:
    target = common(place, first, second)
    on_cpu = "m1 and m2" in failure.message
    device = place.backend if place is not None and place.backend in ("cpu", "mps", "xpu") else "cuda"
    cast = fix(
        say("Cast the tensor that was made in the other dtype to the dtype of the weight it meets"),
        "cast-input",
        "x = x.to(layer.weight.dtype)  # noise, mask, cache, positions: cast where it is made",
    )
    load = fix(
        say("Load all parts in one dtype: two 16-bit formats mean that two parts were loaded apart{where}", where=where_bf16(place, target))
        if {first, second} == set(SIXTEEN)
        else say("Or load all parts of the pipeline in one dtype{where}", where=where_bf16(place, target)),
        "load-dtype",
        f"dtype = torch.{target or 'float16'}\ntext_encoder = AutoModel.from_pretrained(encoder_path, torch_dtype=dtype)\n"
        "pipeline = DiffusionPipeline.from_pretrained(path, text_encoder=text_encoder, torch_dtype=dtype)",
    )
    autocast = fix(
        say("Or run the forward under autocast: right where parameters are mixed on purpose (training, LoRA, an own autograd function)"),
        "autocast",
        f'with torch.autocast("{device}", dtype=torch.{target if target in SIXTEEN else "float16"}):\n    output = model(**inputs)',
    )
    if "float64" in (first, second):
        yield fix(
            say("Cast the double precision tensor to float32, where it is made: NumPy and Python's own numbers are float64"),
            "cast-input",
            "x = x.float()",
        )
        yield fix(say("Or make the arrays it comes from in float32"), "cast-input", "array = array.astype(numpy.float32)")
        return
    if first in SIXTEEN and second in SIXTEEN and first != second:
        yield from (load, cast)
    elif on_cpu and "float32" in (first, second):
        yield cast
        yield fix(
            say("Or run all of it in float32: the words `m1 and m2` say that this product ran on the CPU, where float32 is the fast format"),
            "fp32",
            "model = model.float()",
        )
        yield autocast
    elif not (first and second):
        yield cast
        yield fix(
            say("Or cast the whole model once, behind whatever was added to it"), "cast-model", "model = model.to(next(model.parameters()).dtype)"
        )
        yield autocast
    else:
        yield from (cast, autocast, load)
    if "lora" in failure.words or failure.through("peft"):
        yield fix(
            say("Or give the adapter the base model's dtype, or merge it"),
            "cast-module",
            "model = PeftModel.from_pretrained(base, adapter, autocast_adapter_dtype=False)\n# or: model = model.merge_and_unload()",
        )


@rule("IVD452", severity=Severity.ERROR, category="attention-qkv-dtype-mismatch")
def attention_operands_differ(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    Query, key, value or mask of an attention call differ in dtype.

    Rotary embeddings computed in float32 leave query and key in float32 beside a 16-bit value; a cache allocated in one dtype is written
    in another; an additive mask was made in float32.

    ## Fix
    Cast query and key to the dtype of the value just before the call; make the cache in the compute dtype, and the mask in the query's
    dtype or bool.
    """
    if failure.category != "attention-qkv-dtype-mismatch":
        return
    query, key, value, mask = (pair(failure, (role,), ())[0] for role in ("query", "key", "value", "mask"))
    if mask or failure.family in ("sdpa-mask", "attention-bias"):
        yield problem(
            failure,
            say("the attention mask is in {mask} and the query in {query}", mask=torch_name(mask), query=torch_name(query))
            if mask
            else say("the attention mask, or bias, has another dtype than the query"),
            (
                fix(
                    say("Give the mask the query's dtype, or make it bool"),
                    "cast-input",
                    "attn_mask = attn_mask.to(query.dtype)  # or a bool mask, True = attend",
                ),
                fix(say("Or load the model and its inputs in one dtype"), "load-dtype", "model = AutoModel.from_pretrained(path, torch_dtype=dtype)"),
            ),
            avoid=(say("another GPU: it gives the same"),),
        )
        return
    odd = _odd({"query": query, "key": key, "value": value})
    told = (
        say("query {query}, key {key}, value {value}", query=query, key=key, value=value)
        if query and key and value
        else say("{query} and {key}", query=torch_name(query), key=torch_name(key))
        if query and key
        else say("the text does not say which")
    )
    yield problem(
        failure,
        say("query, key and value of an attention call have two dtypes: {told}", told=told),
        (
            fix(
                say("Cast to one dtype just before the call"),
                "cast-input",
                "query, key = query.to(value.dtype), key.to(value.dtype)" if odd != "value" else "value = value.to(query.dtype)",
            ),
            fix(
                say("Make the cache, and load all parts of the model, in the compute dtype"),
                "load-dtype",
                "model = AutoModel.from_pretrained(path, torch_dtype=dtype)",
            ),
        ),
        avoid=(say("another GPU: it gives the same"), say("another attention implementation: it only moves the failure to the next product")),
        look_next=(say("the odd one is the {odd}: look for what makes it, a rotary embedding in float32 or a cache", odd=odd),) if odd else (),
        more=named(place),
    )


def _odd(dtypes: dict[str, str]) -> str:
    """The one that differs from the two others; empty where the text does not tell, or where all differ."""
    known = [dtype for dtype in dtypes.values() if dtype]
    if len(known) < len(dtypes) or len(set(known)) == len(known):
        return ""
    return next((name for name, dtype in dtypes.items() if known.count(dtype) == 1), "")


@rule("IVD453", severity=Severity.ERROR, category="index-write-dtype-mismatch")
def written_by_index_in_another_dtype(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A tensor was written by index into a tensor of another dtype.

    Assignments by slice convert; by index, by mask, `scatter` and `index_add` do not. Typical: image features into text embeddings,
    expert outputs into a buffer made in float32. Autocast does not help, it can be the cause: an embedding stays in float32 under it.

    ## Fix
    Cast the source to the destination's dtype in the line that writes, or make the buffer in the source's dtype.
    """
    if failure.category != "index-write-dtype-mismatch":
        return
    destination, source = pair(failure, ("destination",), ("source",))
    both = destination and source
    yield problem(
        failure,
        say("values in {source} are written by index into a tensor in {destination}", source=torch_name(source), destination=torch_name(destination))
        if both
        else say("values are written by index into a tensor of another dtype"),
        (
            fix(say("Cast the source where it is written"), "cast-input", "destination[index] = source.to(destination.dtype)"),
            fix(
                say("Or make the buffer in the source's dtype"),
                "cast-input",
                "destination = torch.zeros(shape, dtype=source.dtype, device=source.device)",
            ),
            fix(say("Or load the parts that make the two in one dtype"), "load-dtype", "model = AutoModel.from_pretrained(path, torch_dtype=dtype)"),
        ),
        avoid=(
            say("casting the index or the mask: they are right as they are"),
            say("autocast: `nn.Embedding` stays in float32 under it, which is how many get here"),
        ),
        more=named(place),
    )


@rule("IVD454", severity=Severity.ERROR, category="norm-dtype-mismatch")
def norm_and_input_differ(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    A normalisation got an input in another dtype than its parameters.

    Outside autocast, LayerNorm, GroupNorm and BatchNorm want both in one dtype; only a 16-bit input beside float32 parameters is
    taken by newer releases on some devices.

    ## Fix
    Keep the norm's parameters in the input's dtype, or compute the norm in float32 and cast its output back.
    """
    if failure.category == "norm-dtype-mismatch":
        yield problem(
            failure,
            say("a normalisation got an input in another dtype than its parameters"),
            (
                fix(
                    say("Compute it in float32 and cast the output back"),
                    "cast-input",
                    "y = F.layer_norm(x.float(), shape, weight.float(), bias.float()).to(x.dtype)",
                ),
                fix(say("Or keep its parameters in the input's dtype"), "cast-module", "norm = norm.to(x.dtype)"),
                fix(say("Or cast the whole model once, not its parts"), "cast-model", "model = model.to(dtype)"),
            ),
            look_next=(say(PROMOTED),),
            more=named(place),
        )


@rule("IVD455", severity=Severity.ERROR, category="operand-dtype-mismatch")
def operands_differ(failure: Failure) -> Iterator[Problem]:
    """
    An operator that does not promote got operands of two dtypes.

    `lerp`, `prelu`, `isclose`, `grid_sample`, `linalg.solve`, an `out=` tensor and others compare dtypes and refuse, where an addition
    would promote.

    ## Fix
    Cast one operand to the other's dtype in that line.
    """
    if failure.category == "operand-dtype-mismatch":
        dtypes = say(" and ").join(dict.fromkeys(map(torch_name, failure.dtypes)))
        yield problem(
            failure,
            say("an operator got operands of two dtypes: {dtypes}", dtypes=dtypes) if dtypes else say("an operator got operands of two dtypes"),
            (
                fix(say("Cast one operand to the other's dtype in that line"), "cast-input", "other = other.to(x.dtype)"),
                fix(
                    say("Or make both in one dtype: parts loaded apart, a copy kept in float32 (EMA, optimizer state), an `out=` tensor"),
                    "load-dtype",
                ),
            )
            if failure.family not in FOREIGN
            else elsewhere(failure),
            avoid=() if failure.family in FOREIGN else (say("autocast: it does not reach these operators"),),
            look_next=() if failure.family in FOREIGN else (say(PROMOTED),),
        )


@rule("IVD456", severity=Severity.ERROR, category="numpy-bf16-unsupported")
def numpy_has_no_such_dtype(failure: Failure) -> Iterator[Problem]:
    """
    A tensor was handed to NumPy in a dtype that NumPy does not have.

    NumPy has no bfloat16 and no float8. The computation went well; only the way out is wrong.

    ## Fix
    Cast to float32 before `.numpy()`.
    """
    if failure.category == "numpy-bf16-unsupported":
        yield problem(
            failure,
            say("NumPy has no {dtype}: the tensor must be cast before it is handed over", dtype=(failure.dtypes or ("bfloat16",))[0]),
            (fix(say("Cast to float32 first"), "cast-input", "array = tensor.detach().float().cpu().numpy()"),),
            avoid=(say("other hardware, or another dtype for the model: both are right as they are"),),
        )
