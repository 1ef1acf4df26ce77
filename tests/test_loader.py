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

from ivdoctor.facts import TORCH_NAME, Asked, Cast, CastRun, Checkpoint, Half, Model, Place, Stored
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
import torch
from torch import nn

class Patches(nn.Module):
    '''A convolution with a bias, and an embedding whose indices are whole numbers.'''
    def __init__(self):
        super().__init__()
        self.projection, self.positions = nn.Conv2d(3, 8, 4, 4), nn.Embedding(4, 8)
    def forward(self, pixel_values, position_ids, sizes=(8, 8), more=()):
        assert position_ids.dtype is torch.int64 and all(one.dtype is pixel_values.dtype for one in more)
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

class Nan(nn.Linear):
    def forward(self, x):
        return super().forward(x) * float("nan")

class Full(nn.Linear):
    def forward(self, x):
        raise RuntimeError(x)

torch.manual_seed(0)
pixels = {"pixel_values": torch.rand(1, 3, 8, 8), "position_ids": torch.arange(4), "sizes": (8, 8), "more": [torch.rand(2)]}
x = {"x": torch.rand(4, 4) + torch.eye(4)}
"""


def ran(folder: Path, script: str, **loaders: str) -> tuple[Any, str]:
    """What the script prints as JSON, and what stood on stderr; each loader is a module beside it."""
    for name, code in loaders.items():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    (folder / "plain.py").write_text(PLAIN, encoding="utf-8")
    (folder / "script.py").write_text(
        f"import json, sys\nsys.modules['ivdoctor'] = None\nimport torch\nfrom plain import *\n{script}", encoding="utf-8"
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
    assert lines[2].endswith(": the output in torch.float16 is not finite")


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

import bert_fp32, bert_fp16, bert_bf16, bert_old, vit_bf16, vit_fp16, far_fp16, far_bf16, packed
told = {}
for one in (bert_fp32, bert_fp16, bert_bf16, bert_old, vit_bf16, vit_fp16, far_fp16, far_bf16, packed):
    given = picture if one.__name__[:3] in ("vit", "far") else ids
    print("--" + one.__name__, file=sys.stderr)
    output, model = one.run(given)
    plain = getattr(transformers, type(model).__name__).from_pretrained(one.MODEL, torch_dtype=torch.float32).eval()
    with torch.no_grad():
        expected = plain(**given).last_hidden_state
    told[one.__name__] = [type(model).__name__, str(model.dtype), str(output.last_hidden_state.dtype), model.training,
                          float((output.last_hidden_state.float() - expected).norm() / expected.norm())]
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
        "bert_old": made(dtype="bf16", model=replace(BERT, name="bert"), packages=old),
        "vit_bf16": made(dtype="bf16", model=vit, packages=now),
        "vit_fp16": made(dtype="fp16", model=vit),
        "far_fp16": made(dtype="fp16", model=replace(vit, name="far")),
        "far_bf16": made(dtype="bf16", model=replace(vit, name="far")),
        "packed": made(model=replace(BERT, name="packed", quantization="nobody-knows")),
    }
    told, said = ran(tmp_path_factory.mktemp("named"), NAMED, **{name: one.code.replace("path/to/", "") for name, one in codes.items()})
    return told, said


@pytest.mark.parametrize(
    ("name", "kind", "dtype", "worst"),
    [
        ("bert_fp32", "BertModel", "float32", 0.0),
        ("bert_fp16", "BertModel", "float16", 5e-3),
        ("bert_bf16", "BertModel", "bfloat16", 5e-2),
        ("bert_old", "BertModel", "bfloat16", 5e-2),
        ("vit_bf16", "ViTModel", "bfloat16", 5e-2),
        ("vit_fp16", "ViTModel", "float16", 5e-3),
        ("far_bf16", "ViTModel", "bfloat16", 5e-2),
    ],
)
def test_a_named_model_is_loaded_and_fed_in_one_format(
    named: tuple[dict[str, list[Any]], str], name: str, kind: str, dtype: str, worst: float
) -> None:
    """By the class or by AutoModel, with either name of the argument or whichever fits, for whole numbers and for pixels."""
    found, loaded, output, training, error = named[0][name]

    assert (found, loaded, output, training) == (kind, f"torch.{dtype}", f"torch.{dtype}", False)
    assert error <= worst
    assert (error == 0) == (worst == 0)
    assert "instead" not in named[1].partition(f"--{name}")[2].partition("--")[0]


def test_a_named_model_that_overflows_is_loaded_anew(named: tuple[dict[str, list[Any]], str]) -> None:
    """Weights beyond 65504 are lost in float16: what falls back is the file's own."""
    assert named[0]["far_fp16"] == ["ViTModel", "torch.float32", "torch.float32", False, 0.0]
    assert "torch.float16 failed, so torch.float32 is used instead: the output in torch.float16 is not finite" in named[1]


def test_a_quantised_model_keeps_its_format(named: tuple[dict[str, list[Any]], str]) -> None:
    """Really loaded is one whose method transformers does not know and leaves aside: nothing needs a GPU there."""
    assert named[0]["packed"][:3] == ["BertModel", "torch.bfloat16", "torch.bfloat16"]


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

    assert "\nDTYPE = torch.float32\n" in untested.code
    assert "# the model was made in bfloat16, which Tesla T4 does not compute natively; float16 is faster, and whether" in untested.code
    assert "\nDTYPE = torch.float16\n" in tested.code
    assert "# Tesla T4 computes float16 natively, and a run of this model in it stayed within the limits" in tested.code
    assert tested.title == "A guarded loader in torch.float16"


def test_weights_that_do_not_fit_are_said_above_the_variable() -> None:
    seven = Checkpoint(format="safetensors", files=2, bytes=14, stored=(Stored(dtype="bfloat16", tensors=1, parameters=7_000_000_000, bytes=14),))

    assert made(T4, model=BERT, checkpoint=seven).reason.endswith("in fp32 its weights take 26 GiB, and Tesla T4 has 15")


@pytest.mark.parametrize(
    ("version", "written"), [("4.40.1", "MODEL, torch_dtype=dtype, "), ("4.56.0", "MODEL, dtype=dtype, "), ("5.23.0", "MODEL, dtype=dtype, ")]
)
def test_the_dtype_is_called_as_the_installed_transformers_calls_it(version: str, written: str) -> None:
    assert written in made(model=BERT, packages=some_packages({"transformers": version})).code
    assert "MODEL, **{DTYPE_IS: dtype}, " in made(model=BERT, packages=some_packages({})).code


def test_code_of_the_repository_is_the_users_decision() -> None:
    """Said in a comment, and refused until the user writes True; trust is always passed."""
    theirs = made(model=replace(BERT, remote_code=True)).code

    assert "trust_remote_code=False" in made(model=BERT).code
    assert "trust_remote_code=TRUST" in theirs
    assert "read that, and write True if you trust it\nTRUST = False\n" in theirs
    assert "transformers.AutoModel." in theirs


@pytest.mark.parametrize(
    "name", ["", "class", "_Private", "os.system('x')", "BertModel; import os", "Bert\nModel", "\u0412ertModel", "None", 'a"', "{DTYPE}"]
)
@pytest.mark.parametrize("quantization", ["", "awq"])
def test_a_class_whose_name_is_no_identifier_is_not_named(name: str, quantization: str) -> None:
    code = made(model=replace(BERT, architectures=(name,), quantization=quantization)).code

    assert "transformers.AutoModel.from_pretrained(" in code
    assert shape(code) == shape(made(model=replace(BERT, architectures=(), quantization=quantization)).code)


def shape(code: str) -> str:
    """The syntax tree, the constants MODEL and DEVICE left out."""
    tree = ast.parse(code)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in ("MODEL", "DEVICE"):
            node.value = ast.Constant(value="")
    return ast.dump(tree)


def constant(code: str, name: str) -> Any:
    """The value of a constant at the top."""
    (value,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(code).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name
    )
    return value


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

    assert [(one.place, one.code.partition("\nDTYPE = torch.")[2].partition("\n")[0]) for one in found] == expected
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
