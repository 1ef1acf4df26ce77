"""The guarded loader, run as a user would run it: without ivdoctor, on real modules and on models that transformers loads."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.facts import TORCH_NAME, Asked, Model, Place
from ivdoctor.loader import loader
from ivdoctor.report import Loader
from ivdoctor.testing import a_place, a_torch, a_torch_without_cuda, some_packages

T4 = a_place("sm_75", "Tesla T4", name="cuda:0", memory_mib=15360)
BERT = Model(name="tiny-bert", architectures=("BertModel",), dtype="bfloat16")


def made(place: Place | None = None, dtype: Any = "auto", **facts: Any) -> Loader:
    one = loader(place or a_place(), Asked(dtype=dtype), **{"torch": a_torch_without_cuda() if place is None else a_torch()} | facts)
    assert one is not None
    return one


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
