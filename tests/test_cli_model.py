"""`ivdoctor check MODEL`, run as a user runs it: a real folder, and every way in which a folder can be wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HOSTILE = '<script>alert(1)</script>\n# heading\n| a | b |\n\x1b[31mred @someone "quoted" ![x](http://x.example/y.png)'


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model, small, with random weights."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    config = transformers.BertConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=100)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def copied(bert: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy to spoil, with changes to its configuration."""

    def copy(**changes: Any) -> Path:
        folder = tmp_path / "copy"
        shutil.copytree(bert, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))
        return folder

    return copy


def test_a_model_is_cast_and_run(doctor: Any, bert: Path) -> None:
    """Every figure of the fact is there, the verdict is ready, and nothing but the folder's own name tells where it was."""
    run = doctor("check", str(bert), "--dtype", "bf16", "--format", "json", "--format", "html", "--format", "markdown", "-o", "out/")
    report = json.loads((doctor.folder / "out" / "report.json").read_text())
    (cast,) = report["subjects"]["cast"]

    assert (run.code, report["verdict"]) == (0, "ready"), report["reason"]
    assert (cast["place"], cast["fact"]["model"], cast["fact"]["how"]) == ("cpu", "tiny-bert", "real-run")
    assert [(one["dtype"], one["status"]) for one in cast["fact"]["runs"]] == [("bf16", "ran"), ("fp16", "ran")]
    assert all(0 < one["relative_l2"] < 0.1 for one in cast["fact"]["runs"])
    assert {"model", "checkpoint"} <= set(report["subjects"])
    assert [chart["title"] for chart in report["charts"]] == ["Drift per module: tiny-bert"]
    for file in (doctor.folder / "out").iterdir():
        assert str(bert.parent) not in file.read_text()


def test_a_limit_makes_a_drift_an_error(doctor: Any, bert: Path) -> None:
    """The gate for CI: the same model, another line drawn."""
    run = doctor("check", str(bert), "--dtype", "bf16", "--limit", "relative_l2=0.0001", "--format", "json")
    report = json.loads(run.out)
    (found,) = [one for one in report["findings"] if one["code"] == "IVD602" and one["severity"] == "error"]

    assert run.code == 1
    assert "limit 0.0001" in found["message"]
    assert found["fixes"][0]["trial"]["how"] == "real-run"


def test_the_users_own_inputs_go_in(doctor: Any, bert: Path, tmp_path: Path) -> None:
    """A function in the folder the command was called from."""
    (tmp_path / "mine.py").write_text("import torch\ndef batch(): return {'input_ids': torch.arange(14).reshape(2, 7)}\n")

    run = doctor("check", str(bert), "--inputs", "mine:batch", "--format", "json")
    (cast,) = json.loads(run.out)["subjects"]["cast"]

    assert run.code == 0
    assert cast["fact"]["inputs"] == "the user's own: input_ids 2x7 int64"
    assert cast["fact"]["output"] == "last_hidden_state 2x7x32"


def test_inputs_of_another_shape_are_undetermined_with_their_reason(doctor: Any, bert: Path, tmp_path: Path) -> None:
    """Nothing was run, so nothing is ready."""
    (tmp_path / "mine.py").write_text("import torch\ndef batch(): return {'input_ids': torch.rand(2, 3, 4, 5)}\n")

    run = doctor("check", str(bert), "--inputs", "mine:batch")

    assert run.code == 3
    assert "the model was not run on cpu: the model does not run in fp32 on its inputs" in run.out.splitlines()[-1]
    assert "Traceback" not in run.out + run.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no file or folder of that name"),
        (["."], "config.json"),
        (["broken"], "config.json"),
        (["huge"], "config.json"),
        (["deep"], "nested"),
        ([""], "MODEL is empty"),
        (["--inputs", "x.safetensors"], "--inputs and --limit are about a MODEL"),
        (["--limit", "kl=1"], "--inputs and --limit are about a MODEL"),
        (["model", "--inputs", "x.safetensors"], "there is no file x.safetensors"),
        (["model", "--inputs", "nonsense"], "takes FILE.safetensors or MODULE:FUNCTION"),
        (["model", "--inputs", "mine.py:batch"], "write mine:batch"),
        (["model", "--inputs", "mine:"], "takes FILE.safetensors or MODULE:FUNCTION"),
        (["model", "--limit", "cosine"], "'' is not a number"),
        (["model", "--limit", "softness=1"], "there is no 'softness'"),
        (["model", "--limit", "kl=-1"], "'-1' is not a number"),
        (["model", "--limit", "kl=nan"], "'nan' is not a number"),
        (["broken", "--snapshot", "host.json"], "takes no MODEL"),
    ],
)
def test_wrong_usage_is_one_clear_line(doctor: Any, tmp_path: Path, arguments: list[str], said: str) -> None:
    """Exit code 2, before anything is looked at."""
    for name, text in {"model": "{}", "broken": "{", "huge": '"' + "x" * (100 << 20) + '"', "deep": "[" * 100_000}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)

    run = doctor("check", *arguments)

    assert run.code == 2
    assert run.out == ""
    assert said in run.err.splitlines()[-1]
    assert "Traceback" not in run.err


def test_a_missing_shard_is_an_error_and_named(doctor: Any, bert: Path, copied: Callable[..., Path]) -> None:
    """Not ready: no remedy of dtype brings it back."""
    folder = copied()
    names = {"embeddings.word_embeddings.weight": "model-00001-of-00002.safetensors", "pooler.dense.bias": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))

    run = doctor("check", str(folder))

    assert run.code == 1
    assert "IVD301" in run.out
    assert "model-00002-of-00002.safetensors" in run.out


def test_a_torn_file_is_an_error_and_named(doctor: Any, copied: Callable[..., Path]) -> None:
    """Cut in the middle of a download."""
    weights = copied() / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])

    run = doctor("check", str(weights.parent))

    assert run.code == 1
    assert "IVD301" in run.out


def test_weights_that_do_not_match_the_configuration_are_never_ready(doctor: Any, copied: Callable[..., Path]) -> None:
    """Another width than the files hold."""
    run = doctor("check", str(copied(hidden_size=64)))

    assert run.code in {1, 3}
    assert "Traceback" not in run.out + run.err
    assert "the model was not run on cpu" in run.out


def test_an_unknown_architecture_is_a_no(doctor: Any, copied: Callable[..., Path]) -> None:
    """transformers cannot load it: by its source files, and not after an import of it."""
    run = doctor("check", str(copied(model_type="sparkling", architectures=["SparklingModel"])))

    assert run.code == 1
    assert "does not know the model type sparkling" in run.out.splitlines()[-1]


def test_a_repositorys_own_code_never_runs(doctor: Any, copied: Callable[..., Path], tmp_path: Path) -> None:
    """It would leave a file behind."""
    folder = copied(model_type="ours", auto_map={"AutoConfig": "ours.Ours", "AutoModel": "ours.Ours"})
    (folder / "ours.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")

    run = doctor("check", str(folder))

    assert run.code == 3
    assert not (tmp_path / "ran").exists()


def test_a_hostile_configuration_is_harmless_text_everywhere(doctor: Any, copied: Callable[..., Path]) -> None:
    """HTML, Markdown, terminal sequences and mentions in every name it can give."""
    folder = copied(architectures=[HOSTILE], model_type="bert", torch_dtype=HOSTILE, quantization_config={"quant_method": HOSTILE})
    formats = [f"--format={name}" for name in ("terminal", "markdown", "html", "json", "junit", "github")]

    run = doctor("check", str(folder), *formats, "-o", "out/")

    assert run.code in {0, 1, 3}
    assert "Traceback" not in run.err
    for file in (doctor.folder / "out").iterdir():
        text = file.read_text(encoding="utf-8")
        if file.suffix != ".json":
            assert "\x1b[31mred" not in text
        if file.suffix in {".html", ".xml"}:
            assert "<script>alert" not in text
        assert "\n# heading" not in text


def test_a_snapshot_of_a_model_is_judged_elsewhere(doctor: Any, bert: Path) -> None:
    """`collect MODEL`, then `check --snapshot`: the same findings, without torch."""
    collected = doctor("collect", str(bert), "-o", "host.json")
    here = doctor("check", str(bert), "--dtype", "fp16", "--format", "json")
    there = doctor("check", "--snapshot", "host.json", "--dtype", "fp16", "--format", "json")

    assert (collected.code, here.code) == (0, there.code)
    codes = [[(one["code"], one["severity"]) for one in json.loads(run.out)["findings"]] for run in (here, there)]
    assert codes[0] == codes[1]
    assert str(bert.parent) not in (doctor.folder / "host.json").read_text()
