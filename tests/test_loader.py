"""The loader of a report: what is generated is run, in a process without ivdoctor."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivdoctor.facts import TORCH_NAME, Asked, Cast, CastRun, Checkpoint, Half, Model, Packages, Place, Stored
from ivdoctor.loader import loader, loaders
from ivdoctor.outcome import Outcome, known
from ivdoctor.places import places
from ivdoctor.plugins import plugins
from ivdoctor.report import Loader
from ivdoctor.snapshot import load
from ivdoctor.testing import a_place, a_precision, a_torch, a_torch_without_cuda, an_operation, some_packages

MACHINES = Path(__file__).parent / "machines"

T4 = a_place("sm_75", "Tesla T4", name="cuda:0", memory_mib=15360)
BERT = Model(name="tiny-bert", architectures=("BertModel",), dtype="bfloat16")


def made(place: Place | None = None, dtype: Any = "auto", **facts: Any) -> Loader:
    one = loader(place or a_place(), Asked(dtype=dtype), **{"torch": a_torch_without_cuda() if place is None else a_torch()} | facts)
    assert one is not None
    return one


# What is generated, run.

PLAIN = """
import weakref
import torch
from torch import nn

class Patches(nn.Module):
    '''A convolution with a bias, and an embedding whose indices are whole numbers.'''
    def __init__(self):
        super().__init__()
        self.projection, self.positions = nn.Conv2d(3, 8, 4, 4), nn.Embedding(4, 8)
    def forward(self, pixel_values, position_ids, sizes):
        assert position_ids.dtype is torch.int64 and sizes == (8, 8)
        return {"hidden": [self.projection(pixel_values).flatten(2).transpose(1, 2) + self.positions(position_ids)], "sizes": sizes}

class Inverse(nn.Linear):
    '''torch inverts no matrix in half precision.'''
    def forward(self, x):
        return super().forward(x) @ torch.linalg.inv(self.weight)

class Overflow(nn.Linear):
    '''Its products are beyond 65504, and their difference is NaN in float16.'''
    def forward(self, x):
        far = super().forward(x) * 1e5
        return far - far.roll(1) * 2

class Hidden(Overflow):
    '''The same, deep inside what it gives.'''
    def forward(self, x):
        return {"hidden": ([x, {"far": super().forward(x)}],), "shape": x.shape}

class Counted(Inverse):
    '''Knows how many of its copies are alive whenever one is made or run.'''
    alive, seen = weakref.WeakSet(), []
    def __deepcopy__(self, memo):
        self.seen.append(len(self.alive))
        copied = Counted(4, 4)
        copied.load_state_dict(self.state_dict())
        self.alive.add(copied)
        return copied

class Nan(nn.Linear):
    def forward(self, x):
        return super().forward(x) * float("nan")

class Full(nn.Linear):
    def forward(self, x):
        raise RuntimeError(x)

torch.manual_seed(0)
pixels = {"pixel_values": torch.rand(1, 3, 8, 8), "position_ids": torch.arange(4), "sizes": (8, 8)}
x = {"x": torch.rand(4, 4) + torch.eye(4)}
"""


def ran(folder: Path, script: str, **loaders: str) -> tuple[Any, str]:
    """What the script prints as JSON, and what stood on stderr; each loader is a module beside it."""
    for name, code in loaders.items():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    (folder / "plain.py").write_text(PLAIN, encoding="utf-8")
    (folder / "script.py").write_text(
        f"import functools, gc, json, sys, weakref\nsys.modules['ivdoctor'] = None\nimport torch\nfrom plain import *\n{script}", encoding="utf-8"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "script.py"], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture(scope="module")
def torch() -> Any:
    """An older one refuses float16 on the CPU."""
    library = pytest.importorskip("torch")
    if library.__version__ < "2.3":
        pytest.skip("an older torch refuses float16 here")
    return library


@pytest.mark.usefixtures("torch")
def test_a_module_of_ones_own_runs_in_every_format(tmp_path: Path) -> None:
    """Model and floats are cast from one variable, whole numbers are only moved, and the caller's model is left as it was."""
    script = """
import fp32, fp16, bf16
told = {}
for one in (fp32, fp16, bf16):
    model = Patches()
    output, ready = one.run(model, pixels)
    hidden = output["hidden"][0]
    expected = model(**pixels)["hidden"][0]
    told[one.__name__] = [str(hidden.dtype), str(ready.projection.bias.dtype), str(model.projection.bias.dtype),
                          float((hidden.float() - expected).norm() / expected.norm()), hidden.requires_grad]
print(json.dumps(told))
"""
    told, said = ran(tmp_path, script, **{dtype: made(dtype=dtype).code for dtype in ("fp32", "fp16", "bf16")})

    for dtype, (output, ready, model, error, gradient) in told.items():
        assert (output, ready, model, gradient) == (f"torch.{TORCH_NAME[dtype]}", f"torch.{TORCH_NAME[dtype]}", "torch.float32", False)
        assert error < 2e-2
        assert (error == 0) == (dtype == "fp32")
    assert said == ""


@pytest.mark.usefixtures("torch")
def test_it_falls_back_from_the_original_weights_and_says_why(tmp_path: Path) -> None:
    """One line, and the result of a plain fp32 run to the last bit: weights rounded by the first cast would differ."""
    script = """
import fp16, bf16
told = []
for one, kind in ((bf16, Inverse), (fp16, Inverse), (fp16, Overflow)):
    model = kind(4, 4)
    output, ready = one.run(model, x)
    told.append([str(output.dtype), torch.equal(output, model(**x)), torch.equal(ready.weight, model.weight)])
model = Inverse(4, 4).bfloat16()
fp16.run(model, x)
told.append(str(model.weight.dtype))
print(json.dumps(told))
"""
    told, said = ran(tmp_path, script, fp16=made(dtype="fp16").code, bf16=made(dtype="bf16").code)

    assert told == [["torch.float32", True, True]] * 3 + ["torch.bfloat16"]
    lines = said.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        f"torch.{one} failed, so torch.float32 is used instead" for one in ("bfloat16", "float16", "float16", "float16")
    ]
    assert "Low precision dtypes not supported" in lines[0]
    assert lines[2].endswith(": FloatingPointError('the output in torch.float16 is not finite')")


@pytest.mark.usefixtures("torch")
def test_numbers_are_looked_at_however_deep_they_are(tmp_path: Path) -> None:
    script = """
import fp16
print(json.dumps([str(fp16.run(Hidden(4, 4), x)[0]["hidden"][0][1]["far"].dtype)]))
"""
    told, said = ran(tmp_path, script, fp16=made(dtype="fp16").code)

    assert told == ["torch.float32"]
    assert said.count("instead: FloatingPointError(") == said.count("\n") == 1


@pytest.mark.usefixtures("torch")
def test_a_mask_in_the_output_is_no_overflow(tmp_path: Path) -> None:
    """Logits that are masked hold -Inf, in every dtype; +Inf and NaN do not pass."""
    script = """
import fp16
class Masked(nn.Linear):
    def forward(self, x):
        return {"logits": super().forward(x).masked_fill(torch.tensor([True, False, True, False]), value), "ids": torch.tensor([1]), "none": None}
told = []
for value in (float("-inf"), float("inf"), float("nan")):
    try:
        told.append(str(fp16.run(Masked(4, 4), x)[1].weight.dtype))
    except FloatingPointError as error:
        told.append(str(error))
print(json.dumps(told))
"""
    told, _ = ran(tmp_path, script, fp16=made(dtype="fp16").code)

    lost = "the output in torch.float32 is not finite"
    assert told == ["torch.float16", lost, lost]


@pytest.mark.usefixtures("torch")
def test_what_failed_is_freed_before_the_next_is_made(tmp_path: Path) -> None:
    """Two copies of a large model need not fit; without the collector, that may come late."""
    script = """
import fp16
gc.disable()
output, ready = fp16.run(Counted(4, 4), x)
print(json.dumps([Counted.seen, len(Counted.alive), ready in Counted.alive]))
"""
    told, said = ran(tmp_path, script, fp16=made(dtype="fp16").code)

    assert told == [[0, 0], 1, True]
    assert said.count("instead") == 1


@pytest.mark.usefixtures("torch")
def test_an_error_of_many_lines_is_said_in_one(tmp_path: Path) -> None:
    """A backtrace of C++ frames is cut off."""
    script = """
import fp16
class Talks(nn.Linear):
    def forward(self, x):
        if x.dtype is torch.float16:
            raise RuntimeError("no kernel\\n" + "frame\\n" * 900)
        return super().forward(x)
print(json.dumps(str(fp16.run(Talks(4, 4), x)[0].dtype)))
"""
    told, said = ran(tmp_path, script, fp16=made(dtype="fp16").code)

    assert told == "torch.float32"
    assert said.startswith("torch.float16 failed, so torch.float32 is used instead: RuntimeError('no kernel")
    assert said.count("\n") == 1
    assert len(said) < 300


@pytest.mark.usefixtures("torch")
def test_what_another_dtype_does_not_cure_is_raised(tmp_path: Path) -> None:
    """Full memory at once; numbers that are not finite in fp32 either after the one retry; any other exception as it comes."""
    script = """
import fp16, fp32
told = []
for one, model, given in ((fp16, Full(4, 4), {"x": "HIP out of memory"}), (fp16, Full(4, 4), {"x": "CUBLAS_STATUS_ALLOC_FAILED"}), (fp16, Nan(4, 4), x), (fp32, Nan(4, 4), x), (fp16, Overflow(4, 4), {})):
    try:
        one.run(model, given)
    except Exception as error:
        told.append([type(error).__name__, str(error).partition(".forward")[0]])
    print("--", file=sys.stderr)
print(json.dumps(told))
"""
    told, said = ran(tmp_path, script, fp16=made(dtype="fp16").code, fp32=made(dtype="fp32").code)

    assert told == [
        ["RuntimeError", "HIP out of memory"],
        ["RuntimeError", "CUBLAS_STATUS_ALLOC_FAILED"],
        ["FloatingPointError", "the output in torch.float32 is not finite"],
        ["FloatingPointError", "the output in torch.float32 is not finite"],
        ["TypeError", "Overflow"],
    ]
    assert [part.count("instead") for part in said.split("--")] == [0, 0, 1, 0, 0, 0]


NAMED = """
import os
os.environ["HF_HUB_OFFLINE"] = "1"
import transformers
transformers.utils.logging.disable_progress_bar()
torch.manual_seed(0)
sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
ids = {"input_ids": torch.arange(8)[None], "attention_mask": torch.ones(1, 8, dtype=torch.int64)}
picture = {"pixel_values": torch.rand(1, 3, 16, 16)}
transformers.BertModel(transformers.BertConfig(**sizes, vocab_size=20)).save_pretrained("bert")
vit = transformers.ViTModel(transformers.ViTConfig(**sizes, image_size=16, patch_size=8))
vit.save_pretrained("vit")
with torch.no_grad():
    vit.embeddings.patch_embeddings.projection.weight.mul_(1e7)
vit.save_pretrained("far")
odd = json.load(open("bert/config.json")) | {"quantization_config": {"quant_method": "nobody-knows"}, "dtype": "bfloat16"}
os.mkdir("packed")
json.dump(odd, open("packed/config.json", "w"))
transformers.BertModel.from_pretrained("bert", torch_dtype=torch.bfloat16).save_pretrained("packed2")
os.rename("packed2/model.safetensors", "packed/model.safetensors")

alive, seen = weakref.WeakSet(), []
really = transformers.ViTModel.__init__
@functools.wraps(really)
def watched(self, *given, **named):
    seen.append(len(alive))
    really(self, *given, **named)
    alive.add(self)
transformers.ViTModel.__init__ = watched

import bert_fp32, bert_fp16, bert_bf16, auto_bf16, bert_old, vit_bf16, vit_fp16, far_fp16, far_bf16, packed, nowhere
told = {}
for one in (bert_fp32, bert_fp16, bert_bf16, auto_bf16, bert_old, vit_bf16, vit_fp16, far_fp16, far_bf16, packed):
    given = picture if one.__name__[:3] in ("vit", "far") else ids
    print("--" + one.__name__, file=sys.stderr)
    if one is far_fp16:
        plain = model = None
        gc.collect()
        gc.disable()
        seen.clear()
    output, model = one.run(given)
    told[one.__name__ + " saw"] = list(seen)
    gc.enable()
    plain = getattr(transformers, type(model).__name__).from_pretrained(one.MODEL, torch_dtype=torch.float32).eval()
    with torch.no_grad():
        expected = plain(**given).last_hidden_state
    told[one.__name__] = [type(model).__name__, str(model.dtype), str(output.last_hidden_state.dtype), model.training,
                          float((output.last_hidden_state.float() - expected).norm() / expected.norm())]
with torch.no_grad():
    packed.model.embeddings.LayerNorm.bias.fill_(float("nan"))
print("--raised", file=sys.stderr)
for one in (packed, nowhere):
    try:
        one.run(ids)
    except Exception as error:
        told[one.__name__ + " raised"] = [type(error).__name__, str(error)]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def named(torch: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[Any]], str]:
    """Tiny models with random weights, saved, and loaded by what is generated for them; one process for all."""
    transformers = pytest.importorskip("transformers")
    now, old = (some_packages({"transformers": version}) for version in (transformers.__version__, "4.40.1"))
    vit = Model(name="vit", architectures=("ViTModel",))
    codes = {
        "bert_fp32": made(dtype="fp32", model=replace(BERT, name="bert"), packages=now),
        "bert_fp16": made(dtype="fp16", model=replace(BERT, name="bert", architectures=()), packages=now),
        "bert_bf16": made(dtype="bf16", model=replace(BERT, name="bert")),
        "auto_bf16": made(dtype="bf16", model=replace(BERT, name="bert", architectures=())),
        "bert_old": made(dtype="bf16", model=replace(BERT, name="bert"), packages=old),
        "vit_bf16": made(dtype="bf16", model=vit, packages=now),
        "vit_fp16": made(dtype="fp16", model=vit),
        "far_fp16": made(dtype="fp16", model=replace(vit, name="far")),
        "far_bf16": made(dtype="bf16", model=replace(vit, name="far")),
        "packed": made(model=replace(BERT, name="packed", quantization="nobody-knows")),
        "nowhere": made(dtype="bf16", model=replace(BERT, name="nowhere"), packages=now),
    }
    told, said = ran(tmp_path_factory.mktemp("named"), NAMED, **{name: one.code.replace("path/to/", "") for name, one in codes.items()})
    return told, said


@pytest.mark.parametrize(
    ("name", "kind", "dtype", "worst"),
    [
        ("bert_fp32", "BertModel", "float32", 0.0),
        ("bert_fp16", "BertModel", "float16", 5e-3),
        ("bert_bf16", "BertModel", "bfloat16", 5e-2),
        ("auto_bf16", "BertModel", "bfloat16", 5e-2),
        ("bert_old", "BertModel", "bfloat16", 5e-2),
        ("vit_bf16", "ViTModel", "bfloat16", 5e-2),
        ("vit_fp16", "ViTModel", "float16", 5e-3),
        ("far_bf16", "ViTModel", "bfloat16", 5e-2),
    ],
)
def test_a_named_model_is_loaded_and_fed_in_one_format(
    named: tuple[dict[str, list[Any]], str], name: str, kind: str, dtype: str, worst: float
) -> None:
    """By the class or by AutoModel, with either name of the argument, for whole numbers and for pixels."""
    found, loaded, output, training, error = named[0][name]

    assert (found, loaded, output, training) == (kind, f"torch.{dtype}", f"torch.{dtype}", False)
    assert error <= worst
    assert (error == 0) == (worst == 0)
    assert "is used instead" not in named[1].partition(f"--{name}")[2].partition("--")[0]


def test_a_named_model_that_overflows_is_loaded_anew(named: tuple[dict[str, list[Any]], str]) -> None:
    """Weights beyond 65504 are lost in float16: what falls back is the file's own."""
    assert named[0]["far_fp16"] == ["ViTModel", "torch.float32", "torch.float32", False, 0.0]
    assert "torch.float16 failed, so torch.float32 is used instead: FloatingPointError(" in named[1]
    assert named[1].count("is used instead") == 1


def test_the_model_that_failed_is_freed_before_it_is_loaded_anew(named: tuple[dict[str, list[Any]], str]) -> None:
    """Two of a large model need not fit; without the collector, that may come late."""
    assert named[0]["far_fp16 saw"] == [0, 0]


def test_a_model_that_cannot_be_read_is_not_tried_in_another_dtype(named: tuple[dict[str, list[Any]], str]) -> None:
    assert named[0]["nowhere raised"][0] == "OSError"
    assert "is used instead" not in named[1].partition("--raised")[2]


def test_a_quantised_model_keeps_its_format(named: tuple[dict[str, list[Any]], str]) -> None:
    """Really loaded is one whose method transformers does not know and leaves aside: nothing needs a GPU there."""
    assert named[0]["packed"][:3] == ["BertModel", "torch.bfloat16", "torch.bfloat16"]
    assert named[0]["packed raised"] == ["FloatingPointError", "the output is not finite"]


# What is generated, read.


def test_a_quantised_model_is_not_cast_at_all() -> None:
    """Whichever of config and weights says so, and whatever was asked for."""
    float8 = Checkpoint(format="safetensors", files=1, bytes=9, stored=(Stored(dtype="float8_e4m3fn", tensors=1, parameters=9, bytes=9),))

    for one in (made(T4, "fp16", model=replace(BERT, quantization="awq")), made(T4, "fp16", model=BERT, checkpoint=float8)):
        assert (one.title, one.place) == ("A loader that does not cast", "cuda:0")
        assert '"auto"' in one.code
        assert "device_map=DEVICE" in one.code
        assert not {"DTYPE", "FALLBACK", "copy"} & {node.id for node in ast.walk(ast.parse(one.code)) if isinstance(node, ast.Name)}
    assert made(T4, model=replace(BERT, quantization="awq")).reason.startswith("the model is quantised (awq)")


def test_a_bf16_model_on_a_t4_waits_for_a_run_that_passed() -> None:
    """float16 is faster there, and its range untested: the comment above the variable says so."""
    cast = Cast(model="tiny-bert", how="real-run", inputs="2 sentences", runs=(CastRun(dtype="fp16", status="ran", relative_l2=1e-3, cosine=1.0),))

    untested, tested = made(T4, model=BERT), made(T4, model=BERT, cast=cast)

    assert chosen(untested.code) == "float32"
    assert "# the model was made in bfloat16, which Tesla T4 does not compute natively; float16 is faster, and whether" in untested.code
    assert chosen(tested.code) == "float16"
    assert "# Tesla T4 computes float16 natively, and a run of this model in it stayed within the limits" in tested.code
    assert tested.title == "A guarded loader in torch.float16"


def test_weights_that_do_not_fit_are_said_above_the_variable() -> None:
    seven = Checkpoint(format="safetensors", files=2, bytes=14, stored=(Stored(dtype="bfloat16", tensors=1, parameters=7_000_000_000, bytes=14),))

    assert made(T4, model=BERT, checkpoint=seven).reason.endswith("in fp32 its weights take 26 GiB, and Tesla T4 has 15")


@pytest.mark.parametrize(("version", "named"), [("4.40.1", "torch_dtype"), ("4.56.0", "dtype"), ("5.23.0", "dtype"), (None, "torch_dtype")])
def test_the_dtype_is_called_as_the_installed_transformers_calls_it(version: str | None, named: str) -> None:
    """By its older name where the version is not known: the newest takes that too."""
    packages = some_packages({"transformers": version} if version else {})

    for quantization in ("", "awq"):
        assert f"MODEL, {named}=" in made(model=replace(BERT, quantization=quantization), packages=packages).code
    assert version or f"MODEL, {named}=" in made(model=BERT, packages=None).code


def test_code_of_the_repository_is_the_users_decision() -> None:
    """Said in a comment above the one call, and refused until the user writes True; trust is always passed."""
    for quantization in ("", "awq"):
        ours, theirs = (made(model=replace(BERT, remote_code=remote, quantization=quantization)).code for remote in (False, True))

        assert [code.count("trust_remote_code=False") for code in (ours, theirs)] == [1, 1]
        lines = theirs.splitlines()
        (said,) = (number for number, line in enumerate(lines) if line.endswith("read that, and write True if you trust it"))
        assert "transformers.AutoModel.from_pretrained(MODEL, " in lines[said + 1]
        assert "trust it" not in ours


@pytest.mark.parametrize("dtype", ["auto", "fp32", "fp16", "bf16"])
@pytest.mark.parametrize("model", [None, BERT, replace(BERT, remote_code=True), replace(BERT, quantization="awq", remote_code=True)])
@pytest.mark.parametrize("packages", [None, some_packages({"transformers": "5.23.0"})])
def test_it_is_a_few_lines(dtype: Any, model: Model | None, packages: Packages | None) -> None:
    """Blank lines and comments are not counted; no line is wider than ours, and the reason takes two at most."""
    wordy = Cast(model="x", how="real-run", inputs="", runs=(CastRun(dtype="fp16", status="raised", message="a long story " * 99),))

    for cast in (None, wordy):
        lines = [line for line in made(T4, dtype, model=model, packages=packages, cast=cast).code.splitlines() if line.strip()]
        assert len([line for line in lines if not line.lstrip().startswith("#")]) <= 22
        assert len([line for line in lines if line.startswith("# ")]) <= 2 + bool(model and model.quantization)
        assert max(map(len, lines)) <= 150


@pytest.mark.parametrize(
    "name", ["", "class", "_Private", "os.system('x')", "BertModel; import os", "Bert\nModel", "\u0412ertModel", "None", 'a"', "{DTYPE}"]
)
@pytest.mark.parametrize("quantization", ["", "awq"])
def test_a_class_whose_name_is_no_identifier_is_not_named(name: str, quantization: str) -> None:
    code = made(model=replace(BERT, architectures=(name,), quantization=quantization)).code

    assert "transformers.AutoModel.from_pretrained(" in code
    assert shape(code) == shape(made(model=replace(BERT, architectures=(), quantization=quantization)).code)


def test_the_class_that_was_really_loaded_is_named() -> None:
    """The configuration may name one that no transformers has."""
    cast = Cast(model="x", how="real-run", inputs="", architecture="RobertaModel")
    assert "transformers.RobertaModel.from_pretrained(" in made(model=BERT, cast=cast).code
    assert "transformers.RobertaModel" not in made(model=BERT, cast=replace(cast, how="miniature")).code


def test_a_family_known_to_overflow_gets_no_loader_in_fp16() -> None:
    """On a card that computes fp16 alone."""
    assert "torch.float32" in made(T4, model=replace(BERT, model_type="t5", dtype="float32")).title
    assert "torch.float16" in made(T4, model=replace(BERT, dtype="float32")).title


def assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """The constants at the top."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            names, values = (one.elts if isinstance(one, ast.Tuple) else [one] for one in (target, node.value))
            found |= {ast.unparse(name): value for name, value in zip(names, values, strict=True)}
    return found


def shape(code: str) -> str:
    """The syntax tree, the strings of MODEL and DEVICE left out."""
    tree = ast.parse(code)
    for name, value in assigned(tree).items():
        if name in ("MODEL", "DEVICE"):
            assert isinstance(value, ast.Constant)
            value.value = ""
    return ast.dump(tree)


def constant(code: str, name: str) -> Any:
    return ast.literal_eval(assigned(ast.parse(code))[name])


def chosen(code: str) -> str:
    """The dtype, by torch's name without `torch.`."""
    return ast.unparse(assigned(ast.parse(code))["DTYPE"]).removeprefix("torch.")


HOSTILE = [
    'x"; raise SystemExit(3) #',
    "a'\n\nraise SystemExit(3)\n",
    '"""',
    "\\",
    "{DTYPE}",
    "\u202egnp",
    "\x00",
    "\r\nimport os",
    "\u2028x",
    "\ud800",
    "\x1b[2J",
]


@settings(max_examples=50)
@given(st.one_of(st.sampled_from(HOSTILE), st.text()), st.sampled_from(["", "awq"]))
def test_no_text_from_outside_becomes_code(text: str, quantization: str) -> None:
    """The folder's name, the device's and the exception's own words: constants and comments, whatever they hold."""
    place = replace(T4, title=text or "T4")
    cast = Cast(model=text, how="real-run", inputs=text, runs=(CastRun(dtype="fp16", status="raised", message=text),))
    model = replace(BERT, name=text, dtype="float16", quantization=quantization and quantization + text)

    code = made(place, model=model, cast=cast).code
    plain = made(
        T4, model=replace(BERT, dtype="float16", quantization=quantization), cast=replace(cast, runs=(replace(cast.runs[0], message="no"),))
    ).code

    assert shape(code) == shape(plain)
    assert constant(code, "MODEL") == "path/to/" + text
    assert made(place, model=model, cast=cast).reason.isprintable()
    assert code.replace("\n", "").isprintable()
    assert shape(made(place, cast=cast).code) == shape(made(T4, cast=replace(cast, runs=())).code).replace("float16", "float32", 1)


# One a place.


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("t4", [("cuda:0", "float16")]),
        ("v100", [("cuda:0", "float16")]),
        ("p40", [("cuda:0", "float32")]),
        ("a100-80", [("cuda:0", "bfloat16")]),
        ("h100", [("cuda:0", "bfloat16")]),
        ("rtx4090x2", [("cuda:0", "bfloat16")]),
        ("mi300x", [("cuda:0", "bfloat16")]),
        ("gpus-hidden", [("cpu", "float32")]),
        ("wheel-without-sm61", [("cpu", "float32")]),
        ("wheel-without-sm120", [("cpu", "float32")]),
        ("no-torch", []),
    ],
)
def test_every_machine_gets_one_for_each_place_that_torch_reaches(machine: str, expected: list[tuple[str, str]]) -> None:
    """Beside an accelerator that runs the CPU gets none; without torch, or without code for the device, there is nothing to load on."""
    outcomes = load((MACHINES / f"{machine}.json").read_bytes(), plugins().facts()).outcomes
    shared = known(outcomes)

    found = loaders(outcomes, places(shared), shared, Asked())

    assert [(one.place, chosen(one.code)) for one in found] == expected
    assert all(constant(one.code, "DEVICE") == one.place for one in found)


def test_what_was_found_at_a_place_counts_there_alone() -> None:
    """Two unlike accelerators, of which one overflows in fp16."""
    found = (a_place(), T4, replace(T4, name="cuda:1", title="Tesla V100"))
    lost = CastRun(dtype="fp16", status="ran", nonfinite=4, relative_l2=-1.0)
    outcome = Outcome(subject="cast", status="ok", place="cuda:1", fact=Cast(model="x", how="real-run", inputs="", runs=(lost,)))

    first, second = loaders([outcome], found, {type(fact): fact for fact in (a_torch(), replace(BERT, dtype=""))}, Asked())

    assert ["torch.float16" in one.title for one in (first, second)] == [True, False]
    assert second.reason == "fp16 was run here, and its output is not finite"


@pytest.mark.parametrize("dtype", ["auto", "fp32", "bf16"])
def test_where_nothing_runs_there_is_no_loader(dtype: Any) -> None:
    """A place out of reach, a torch that is not there, and a device on which every operation failed."""
    names: list[tuple[Half, str]] = [
        (half, name) for half in ("fp32", "fp16", "bf16") for name in ("matmul", "linear", "conv2d", "attention", "layer_norm")
    ]
    dead = a_precision(*(an_operation(half, name, "no kernel image") for half, name in names))

    assert loader(replace(T4, reachable=False), Asked(dtype=dtype), torch=a_torch()) is None
    assert loader(T4, Asked(dtype=dtype), torch=None) is None
    assert loader(T4, Asked(dtype=dtype), torch=a_torch(), precision=dead) is None
    assert loaders([], [T4], {}, Asked(dtype=dtype)) == ()
