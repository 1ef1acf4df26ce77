"""`ivdoctor check FOLDER` with nothing but a config.json in it, run as a user runs it."""

import json
from pathlib import Path
from typing import Any

import pytest

BEIT = {
    "model_type": "beit",
    "architectures": ["BeitModel"],
    "dtype": "bfloat16",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 16,
}


def configured(folder: Path, **changes: Any) -> Path:
    """A folder with a configuration and no weights."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(BEIT | changes))
    return folder


def test_a_configuration_alone_names_the_failing_line_and_a_fix_that_a_miniature_has_run(doctor: Any, tmp_path: Path) -> None:
    """Pixels in float32 for a model in bfloat16 that does not cast them: not ready; progress, if any, on stderr alone."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    folder = configured(tmp_path / "tiny-beit")
    formats = [f"--format={name}" for name in ("json", "html", "markdown", "terminal")]

    run = doctor("check", str(folder), "--dtype", "bf16", "--input-dtype", "fp32", *formats, "-o", "out/", timeout=300)
    report = json.loads((doctor.folder / "out" / "report.json").read_text())
    (found,) = [one for one in report["findings"] if one["code"] == "IVD410"]

    assert (run.code, report["verdict"], found["severity"]) == (1, "not-ready", "error"), report["reason"]
    assert "Input type (float) and bias type (c10::BFloat16) should be the same" in found["message"]
    assert found["location"]["file"].endswith("models/beit/modeling_beit.py")
    assert (found["fixes"][0]["trial"]["status"], found["fixes"][0]["trial"]["how"]) == ("passed", "miniature")
    assert all(line.startswith("looking at ") for line in run.err.splitlines())
    for suffix in ("html", "md", "txt"):
        text = (doctor.folder / "out" / f"report.{suffix}").read_text(encoding="utf-8")
        assert "Dtype flow: tiny-beit" in text
        assert "modeling_beit.py:" in text
        assert str(tmp_path) not in text


def test_a_repositorys_own_code_stays_unrun_without_the_flag(doctor: Any, tmp_path: Path) -> None:
    """It would leave a file behind; the verdict is open."""
    pytest.importorskip("torch")
    folder = configured(tmp_path / "ours", model_type="ours", auto_map={"AutoConfig": "ours.Ours", "AutoModel": "ours.Ours"})
    (folder / "ours.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")

    run = doctor("check", str(folder))

    assert run.code == 3
    assert not (tmp_path / "ran").exists()
    assert "flow: absent: transformers" in run.out
