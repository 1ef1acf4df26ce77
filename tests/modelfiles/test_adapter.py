"""An adapter's folder, and its base where that is on this machine."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ivdoctor.facts import Adapter, Stored
from ivdoctor.modelfiles import Nothing, Torn, Unreadable
from ivdoctor.modelfiles.adapter import read_adapter
from ivdoctor.testing import a_safetensors_file

LORA = {
    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": ("F32", (16, 64)),
    "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight": ("F32", (64, 16)),
}
STORED = (Stored(dtype="float32", tensors=2, parameters=2048, bytes=8192),)


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model of this machine's is found by chance."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "MODELSCOPE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def an_adapter(folder: Path, base: Any = "org/base", *, weights: bool = True, **config: Any) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 16, "base_model_name_or_path": base, **config}))
    if weights:
        (folder / "adapter_model.safetensors").write_bytes(a_safetensors_file(LORA))
    return str(folder)


def a_base(folder: Path, dtype: str = "BF16", **config: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    if dtype:
        (folder / "model.safetensors").write_bytes(a_safetensors_file({"w": (dtype, (8, 8)), "n": ("F32", (8,))}))
    return folder


def in_cache(tmp_path: Path, name: str, *, branch: str = "main", **config: Any) -> None:
    """A snapshot as huggingface_hub lays it out."""
    repository = tmp_path / "hf" / "hub" / f"models--{name.replace('/', '--')}"
    commit = f"{len(branch):x}" * 8
    a_base(repository / "snapshots" / commit, **config)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / branch).write_text(commit)


def test_an_adapter_is_read_from_its_configuration_and_header(tmp_path: Path) -> None:
    """Method, rank, modules saved whole and what is stored, the base by its name alone."""
    found = read_adapter(an_adapter(tmp_path / "a", modules_to_save=["lm_head", 3]))
    assert found == Adapter(method="LORA", base="org/base", rank=16, stored=STORED, merged=("lm_head",))


@pytest.mark.parametrize("absolute", [True, False])
def test_a_base_in_a_folder_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, absolute: bool) -> None:
    """By its path, from here or from beside the adapter; only its last name is kept."""
    base = a_base(tmp_path / "secret-user" / "models" / "Llama", "F16", quantization_config={"quant_method": "gptq"})
    folder = an_adapter(tmp_path / "secret-user" / "a", str(base) if absolute else "../models/Llama")
    found = read_adapter(folder)
    assert (found.base, found.base_dtype, found.base_quantization) == ("Llama", "float16", "gptq")
    monkeypatch.chdir(base.parent)
    assert read_adapter(an_adapter(tmp_path / "b", "./Llama")).base == "Llama"
    assert read_adapter(an_adapter(tmp_path / "c", "Llama")).base_dtype == "float16"


def test_a_base_in_the_cache_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its branch, wherever the variables put the cache."""
    in_cache(tmp_path, "org/base")
    in_cache(tmp_path, "org/base", branch="fp32x", dtype="F32")
    assert read_adapter(an_adapter(tmp_path / "a")).base_dtype == "bfloat16"
    assert read_adapter(an_adapter(tmp_path / "b", revision="fp32x")).base_dtype == "float32"
    assert read_adapter(an_adapter(tmp_path / "c", revision="55555555")).base_dtype == "float32"
    assert read_adapter(an_adapter(tmp_path / "d", revision="other")).base_dtype == ""
    monkeypatch.delenv("HF_HOME")
    assert read_adapter(str(tmp_path / "a")).base_dtype == ""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    assert read_adapter(str(tmp_path / "a")).base_dtype == "bfloat16"


def test_a_base_without_its_weights_says_what_its_configuration_does(tmp_path: Path) -> None:
    """A configuration alone, as some download it first."""
    base = a_base(tmp_path / "base", "", torch_dtype="bfloat16", quantization_config={"load_in_4bit": True})
    found = read_adapter(an_adapter(tmp_path / "a", str(base)))
    assert (found.base_dtype, found.base_quantization) == ("bfloat16", "bitsandbytes")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("org/base", "org/base"),
        ("gpt2", "gpt2"),
        ("/home/alice/models/base", "base"),
        ("/home/alice/.cache/huggingface/hub/models--org--base/snapshots/0123abcd", "org/base"),
        ("C:\\Users\\alice\\base", "base"),
        ("../base/", "base"),
        ("\\\\server\\share\\base", "base"),
        ("//server/share/base", "base"),
        ("..", ""),
        ("/", ""),
        ("", ""),
        (None, ""),
        (["x"], ""),
        ("a\0b", "a\\x00b"),
    ],
)
def test_of_a_path_the_last_name_alone_is_kept(tmp_path: Path, name: object, shown: str) -> None:
    """And what is no name is none."""
    found = read_adapter(an_adapter(tmp_path / "a", name))
    assert (found.base, found.base_dtype) == (shown, "")


def test_names_cannot_lead_out_of_the_cache(tmp_path: Path) -> None:
    """A repository or a branch that climbs finds nothing."""
    outside = a_base(tmp_path / "hf" / "outside")
    (tmp_path / "hf" / "hub" / "models--org--base" / "snapshots").mkdir(parents=True)
    assert (outside / "config.json").is_file()
    assert read_adapter(an_adapter(tmp_path / "a", revision="../../../outside")).base_dtype == ""
    refs = tmp_path / "hf" / "hub" / "models--org--base" / "refs"
    refs.mkdir()
    (refs / "main").write_text("../../../outside")
    assert read_adapter(an_adapter(tmp_path / "b")).base_dtype == ""


def test_weights_are_those_that_peft_would_load(tmp_path: Path) -> None:
    """Safetensors before the pickle, the pickle without unpickling it, and nothing where there is neither."""
    torch = pytest.importorskip("torch")
    folder = Path(an_adapter(tmp_path / "a"))
    torch.save({"lora_A": torch.zeros(4, 4, dtype=torch.float16)}, folder / "adapter_model.bin")
    assert read_adapter(str(folder)).stored == STORED
    (folder / "adapter_model.safetensors").unlink()
    assert read_adapter(str(folder)).stored == (Stored(dtype="float16", tensors=1, parameters=16, bytes=32),)
    (folder / "adapter_model.bin").unlink()
    assert read_adapter(str(folder)).stored == ()


def test_what_is_torn_or_not_there_is_said(tmp_path: Path) -> None:
    """No adapter, no JSON object, weights cut off, and a pickle that nobody can tell."""
    with pytest.raises(Nothing, match=r"^adapter_config\.json: not there$"):
        read_adapter(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("[]")
    with pytest.raises(Torn, match=r"^adapter_config\.json: no JSON object$"):
        read_adapter(str(tmp_path))
    folder = Path(an_adapter(tmp_path / "a"))
    (folder / "adapter_model.safetensors").write_bytes(a_safetensors_file(LORA)[:-4])
    with pytest.raises(Torn, match=r"^adapter_model\.safetensors: its header describes"):
        read_adapter(str(folder))
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.bin").write_bytes(b"\x80\x02" + bytes(50))
    with pytest.raises(Unreadable, match=r"^adapter_model\.bin: .*convert it to safetensors$"):
        read_adapter(str(folder))


def test_a_base_that_is_broken_is_unknown_and_no_error(tmp_path: Path) -> None:
    """Its own checkup says what is wrong with it; links that go round and configurations that are none do no harm."""
    base = a_base(tmp_path / "base", "")
    (base / "config.json").write_text("{")
    assert read_adapter(an_adapter(tmp_path / "a", str(base))).base_dtype == ""
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    assert read_adapter(an_adapter(tmp_path / "b", str(tmp_path / "loop"))).base_dtype == ""


def test_what_peft_saves_is_read(tmp_path: Path) -> None:
    """Against PEFT itself, where it is installed."""
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, vocab_size=32
    )
    transformers.LlamaForCausalLM(config).half().save_pretrained(tmp_path / "base")
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    model = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["q_proj"]))
    model.save_pretrained(tmp_path / "a")
    found = read_adapter(str(tmp_path / "a"))
    assert (found.method, found.rank, found.base_dtype) == ("LORA", 4, "float16")
    assert sum(one.parameters for one in found.stored) == 2 * 4 * 16
