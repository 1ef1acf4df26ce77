"""A model from its folder: whole or absent, with one line that says why; nothing is unpickled, fetched or run on the way."""

import json
import pickle
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from ivdoctor.probe import Absent  # noqa: E402  # torch first
from ivdoctor.trials import load as module  # noqa: E402
from ivdoctor.trials.load import Loaded, load  # noqa: E402

pytestmark = pytest.mark.usefixtures("_as_it_was")

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

Folder = Callable[..., Path]


@pytest.fixture
def folder(saved: Callable[..., Path], tmp_path: Path) -> Folder:
    """A copy of a model's folder, to be changed; the keywords are fields of its configuration."""

    def copied(name: str = "bert", dtype: str = "float32", **config: Any) -> Path:
        path = Path(shutil.copytree(saved(name, dtype), tmp_path / "mine"))
        written = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(written | config))
        return path

    return copied


@pytest.fixture
def bare(tmp_path: Path) -> Callable[..., Path]:
    """A folder with a configuration and nothing else, for what is refused before transformers is asked."""

    def make(**config: Any) -> Path:
        (tmp_path / "bare").mkdir()
        (tmp_path / "bare" / "config.json").write_text(json.dumps({"model_type": "bert"} | config))
        return tmp_path / "bare"

    return make


@pytest.fixture
def _nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is refused before."""
    monkeypatch.setattr(module, "_loaded", lambda *_: pytest.fail("it was loaded"))


def refused(path: Path) -> str:
    """Why it is absent, on one line."""
    with pytest.raises(Absent) as caught:
        load(str(path), "cpu")
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 500
    assert str(path.parent) not in said, "the way to a model is its owner's business"
    return said


def header(entries: dict[str, Any]) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def loaded(path: Path) -> Loaded:
    return load(str(path), "cpu")


@pytest.mark.parametrize("name", ["bert", "llama", "vit", "t5", "whisper", "deepseek"])
def test_a_model_is_loaded_as_it_was_saved(name: str, saved: Callable[..., Path], made: Callable[[str], Any]) -> None:
    """Its own class, every weight, in evaluation mode and fp32."""
    original = made(name)

    found = loaded(saved(name))

    assert (type(found.model), found.dtype, found.reason, found.stored, found.missing) == (type(original), "fp32", "", "float32", ())
    assert not found.model.training
    weights = found.model.state_dict()
    assert set(weights) == set(original.state_dict())
    assert [one for one, tensor in original.state_dict().items() if not torch.equal(weights[one], tensor)] == []


def test_the_configuration_may_be_named_itself(saved: Callable[..., Path]) -> None:
    """The folder is meant."""
    assert type(loaded(saved("vit") / "config.json").model).__name__ == "ViTModel"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_what_is_stored_in_half_is_loaded_in_fp32(dtype: str, saved: Callable[..., Path], made: Callable[[str], Any]) -> None:
    """Without loss, so that nothing is read twice; whatever dtype the configuration names."""
    found = loaded(saved("llama", dtype))

    assert (found.dtype, found.stored) == ("fp32", dtype)
    kinds = {one.dtype for one in found.model.state_dict().values()}
    assert kinds == {torch.float32}
    expected = made("llama").to(getattr(torch, dtype)).float().state_dict()
    assert all(torch.equal(one, expected[name]) for name, one in found.model.state_dict().items())


@pytest.mark.parametrize("architectures", [None, [], ["NoSuchModelAnywhere"], ["../bert"], ["load_tool"], ["BertConfig"], [7], ["logging"]])
def test_an_unknown_class_is_the_bare_model(architectures: Any, folder: Folder) -> None:
    """Whatever the configuration names: only a model's class is taken."""
    assert type(loaded(folder(architectures=architectures)).model).__name__ == "BertModel"


def test_shards_are_one_model(folder: Folder, made: Callable[[str], Any]) -> None:
    """With an index, as large models have it."""
    path = folder()
    (path / WEIGHTS).unlink()
    made("bert").save_pretrained(path, max_shard_size="40KB")
    assert len(list(path.glob("*.safetensors"))) > 2

    assert loaded(path).missing == ()


def test_a_missing_shard_is_named(folder: Folder, made: Callable[[str], Any]) -> None:
    """All of them are looked for before one is read."""
    path = folder()
    (path / WEIGHTS).unlink()
    made("bert").save_pretrained(path, max_shard_size="40KB")
    gone = sorted(path.glob("*.safetensors"))[1]
    gone.unlink()

    assert refused(path) == f"the weights are not whole: {gone.name} is missing"


@pytest.mark.usefixtures("_nothing_is_loaded")
@pytest.mark.parametrize("cut", [1, 1000, -9])
def test_a_torn_file_is_named(cut: int, folder: Folder) -> None:
    """Cut off at its end, in the middle, in its header."""
    path = folder()
    content = (path / WEIGHTS).read_bytes()
    (path / WEIGHTS).write_bytes(content[:-cut])

    assert refused(path).startswith("the weights are not whole: model.safetensors: ")


@pytest.mark.usefixtures("_nothing_is_loaded")
def test_an_index_of_files_that_are_not_there(bare: Callable[..., Path]) -> None:
    """The first three are named, of whatever number."""
    path = bare()
    files = [f"model-{number:05}-of-00007.safetensors" for number in range(1, 8)]
    (path / INDEX).write_text(json.dumps({"weight_map": {f"layer.{number}": file for number, file in enumerate(files)}}))

    assert refused(path) == f"the weights are not whole: {'; '.join(f'{file} is missing' for file in files[:3])}"


@pytest.mark.usefixtures("_nothing_is_loaded")
def test_a_folder_without_weights(bare: Callable[..., Path]) -> None:
    assert refused(bare()) == "the folder has no weights"


@pytest.mark.usefixtures("_nothing_is_loaded")
def test_a_configuration_of_another_name_has_no_folder(bare: Callable[..., Path]) -> None:
    path = bare()
    (path / "config.json").rename(path / "other.json")

    assert refused(path / "other.json") == "only a configuration was named, and no folder with weights"


@pytest.mark.usefixtures("_nothing_is_loaded")
@pytest.mark.parametrize("content", ["", "{", "[]", "\0", "NaN"])
def test_a_torn_configuration(content: str, folder: Folder) -> None:
    path = folder()
    (path / "config.json").write_text(content)

    assert refused(path).startswith("config.json: ")


@pytest.mark.usefixtures("_nothing_is_loaded")
def test_nothing_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "nothing") == "there is no file or folder of that name"


class Evil:
    """Unpickled, it writes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return (open, (str(self.file), "w"))


PICKLES = ["pytorch_model.bin", "model.pt", "model.pth", "consolidated.00.pth", "model.ckpt"]


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_is_never_unpickled(name: str, folder: Folder, tmp_path: Path) -> None:
    """Neither where it is all there is, nor beside sound weights; and this one would show."""
    ran = tmp_path / "ran"
    evil = pickle.dumps(Evil(ran))
    pickle.loads(evil).close()
    assert ran.exists()
    ran.unlink()
    path = folder()
    for file in (name, "tokenizer.pkl", "vocab.pkl", "training_args.bin", "optimizer.pt"):
        (path / file).write_bytes(evil)

    assert loaded(path).missing == ()
    (path / WEIGHTS).unlink()

    assert refused(path) == "the weights are not in safetensors, and ivdoctor unpickles nothing: convert them first"
    assert not ran.exists()


def test_weights_of_another_shape(folder: Folder) -> None:
    """The configuration says 64 where the files have 60: the tensors are named."""
    said = refused(folder(vocab_size=64))

    assert said == "the weights do not match the configuration: bert.embeddings.word_embeddings.weight"


def test_parameters_the_files_do_not_hold_are_listed(folder: Folder) -> None:
    """They are random, and whoever reads the figures must know; so are tensors that nobody asks for."""
    from safetensors.torch import load_file, save_file

    path = folder()
    weights = load_file(path / WEIGHTS)
    weights["extra"] = weights.pop("bert.pooler.dense.bias").clone()
    save_file(weights, path / WEIGHTS, metadata={"format": "pt"})

    found = loaded(path)

    assert (found.missing, found.unexpected) == (("bert.pooler.dense.bias",), ("extra",))


@pytest.mark.parametrize("layers", [3, 6])
def test_a_model_that_is_mostly_random_is_not_that_model(layers: int, folder: Folder) -> None:
    """Figures of random numbers would pass for the user's."""
    assert re.fullmatch(
        r"the weights do not match the configuration: \d\d% of its parameters are not in the files", refused(folder(num_hidden_layers=layers))
    )


def test_weights_of_another_model_are_refused(folder: Folder, saved: Callable[..., Path]) -> None:
    path = folder()
    shutil.copy(saved("t5") / WEIGHTS, path / WEIGHTS)

    assert refused(path) == "the weights do not match the configuration: 100% of its parameters are not in the files"


@pytest.mark.usefixtures("_nothing_is_loaded")
def test_an_adapter_is_no_model(folder: Folder) -> None:
    """With peft installed transformers would load it, from a pickle if need be."""
    path = folder()
    (path / "adapter_config.json").write_text("{}")

    assert refused(path) == "the folder holds an adapter: merge it into its model first"


@pytest.mark.usefixtures("_nothing_is_loaded")
def test_attention_code_of_another_repository_never_runs(folder: Folder) -> None:
    assert refused(folder(attn_implementation="someone/kernel")).startswith("the configuration names attention code")


@pytest.mark.usefixtures("_nothing_is_loaded")
@pytest.mark.parametrize(
    "config", [{"quant_method": "bitsandbytes", "load_in_4bit": True}, {"quant_method": "gptq", "bits": 4}, {"quant_method": "fp8"}]
)
def test_quantised_weights_are_not_cast(config: dict[str, Any], folder: Folder) -> None:
    assert refused(folder(quantization_config=config)) == "the model is quantised, and quantised weights are not cast"


def test_an_unknown_kind_of_model(folder: Folder) -> None:
    """In the words of transformers, and with its version: another one may know it."""
    import transformers

    said = refused(folder(model_type="no_such_kind", architectures=["NoSuchModel"]))

    assert said.startswith(f"transformers {transformers.__version__} cannot load it: ")
    assert "no_such_kind" in said


@pytest.mark.parametrize("kind", ["bert", "evil"])
def test_the_code_of_a_repository_never_runs(kind: str, folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where transformers has the class it is used; where not, the model is absent, and nobody is asked on stdin."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question was asked"))
    ran = tmp_path / "ran"
    path = folder(model_type=kind, auto_map={"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoModelForSequenceClassification": "evil.Evil"})
    for name in ("evil", "configuration_evil", "modeling_evil", "__init__", "custom_generate"):
        (path / f"{name}.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Evil: pass\n")

    if kind == "bert":
        assert type(loaded(path).model).__name__ == "BertForSequenceClassification"
    else:
        assert "custom code" in refused(path)

    assert not ran.exists()


@pytest.mark.parametrize(
    "config",
    [
        {"hidden_size": "large"},
        {"num_attention_heads": 0},
        {"hidden_size": 33},
        {"hidden_act": "no such function"},
        {"num_hidden_layers": None},
        {"attn_implementation": "no_such"},
    ],
)
def test_a_configuration_that_makes_no_model(config: dict[str, Any], folder: Folder) -> None:
    """Whatever its constructor raises is absence, and never the end of the room."""
    path = folder(**config)

    said = refused(path)

    assert "cannot load it: " in said
    assert not said.endswith(":"), "something is announced and not said"
