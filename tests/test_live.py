"""What programs call in their own process: real runs on this CPU, and processors as the kernel would describe them."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import ivdoctor
from ivdoctor import live
from ivdoctor.facts import TORCH_NAME, Cpu, Half, Operation
from ivdoctor.probe import Absent, DeviceFault, probe
from ivdoctor.probes import cpu as cpu_probe
from ivdoctor.probes import precision
from ivdoctor.testing import a_cpu

torch = pytest.importorskip("torch")
nn = torch.nn

BF16, FP16, BOTH = ("avx512_bf16",), ("avx512_fp16",), ("avx512_bf16", "avx512_fp16")


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the instructions that this machine is said to have; the arithmetic is run for real all the same."""

    def with_features(*features: str) -> None:
        @probe()
        def cpu() -> Cpu:
            return a_cpu(*features)

        monkeypatch.setattr(cpu_probe, "cpu", cpu)
        monkeypatch.setattr("platform.machine", lambda: "x86_64")

    return with_features


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a format fail on this device, as an operator without a kernel does."""
    really = precision.run_operator

    def without(*dtypes: Half, status: str = "refused") -> None:
        def run(library: Any, device: str, dtype: Half, operator: Any) -> Operation:
            if dtype in dtypes and operator.name == "matmul":
                return Operation(dtype=dtype, name=operator.name, status=status, message="no kernel")  # type: ignore[arg-type]  # one of three
            return really(library, device, dtype, operator)

        monkeypatch.setattr(precision, "run_operator", run)

    return without


def test_this_machines_own_answer_is_one_it_computes_natively() -> None:
    """Whatever runs the tests: the dtype, its name and the reason belong together, and the table agrees."""
    choice = ivdoctor.choose_dtype("cpu")

    assert ivdoctor.pick_dtype("cpu") is choice.dtype is getattr(torch, choice.name)
    assert (choice.device, choice.name in TORCH_NAME.values()) == ("cpu", True)
    assert choice.reason
    support = live._place("cpu").dtypes
    assert support.of({name: half for half, name in TORCH_NAME.items()}[choice.name]) in ("native", "unknown")


@pytest.mark.parametrize(
    ("features", "made_in", "name"),
    [
        ((), None, "float32"),
        (BF16, None, "bfloat16"),
        (BF16, torch.float32, "bfloat16"),
        (BF16, torch.float16, "bfloat16"),
        (FP16, torch.float32, "float16"),
        (FP16, torch.bfloat16, "float32"),
        (BOTH, torch.float16, "float16"),
        (BOTH, torch.bfloat16, "bfloat16"),
        (BOTH, torch.float64, "bfloat16"),
    ],
)
def test_the_native_format_the_model_survives(processor: Any, features: tuple[str, ...], made_in: Any, name: str) -> None:
    """A module's own weights say what it was made in."""
    processor(*features)
    if name == "float16" and torch.__version__ < "2.3":
        pytest.skip("an older torch refuses float16 here")

    assert ivdoctor.choose_dtype("cpu", made_in and nn.Linear(2, 2).to(made_in)).name == name


def test_a_native_format_that_fails_live_is_passed_over(processor: Any, lacking: Any) -> None:
    """The tables are not believed against a run."""
    processor(*BOTH)
    lacking("bf16", "fp16")

    choice = ivdoctor.choose_dtype("cpu")

    assert choice.dtype is torch.float32
    assert choice.reason == "matmul in bf16: no kernel; matmul in fp16: no kernel"

    lacking("bf16", "fp16", status="wrong")
    assert "matmul in bf16 gives a wrong result" in ivdoctor.choose_dtype("cpu").reason


def test_a_device_that_computes_nothing_right_has_no_dtype(lacking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 would be an answer that cannot be true."""
    lacking("fp32", "bf16", "fp16")
    with pytest.raises(RuntimeError, match=r"^cpu gives no right result: matmul in fp32: no kernel$"):
        ivdoctor.pick_dtype("cpu")

    def lost(*_: object) -> Operation:
        raise DeviceFault("device-side assert")

    monkeypatch.setattr(precision, "run_operator", lost)
    with pytest.raises(RuntimeError, match="cpu gives no right result: device-side assert"):
        ivdoctor.pick_dtype("cpu")


def test_a_processor_nobody_can_describe_computes_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the reason says that it is not known, not that it is not there."""

    @probe()
    def cpu() -> Cpu:
        raise Absent("no flags")

    monkeypatch.setattr(cpu_probe, "cpu", cpu)

    choice = ivdoctor.choose_dtype("cpu")

    assert choice.dtype is torch.float32
    assert "not known: the CPU could not be looked at" in choice.reason


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("tpu9", "'tpu9' is no device that torch knows"),
        ("cuda:x", "'cuda:x' is no device"),
        (object(), "is no device that torch knows"),
        ("meta", "meta: the number formats are known of cuda, xpu, mps, cpu devices only"),
    ],
)
def test_a_device_that_is_none_is_said_in_one_line(device: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        ivdoctor.pick_dtype(device)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps"])
def test_a_device_that_is_not_here_is_said_in_one_line(kind: str) -> None:
    """Absence never crashes; where it is there, its answer is one it runs."""
    if live._usable(torch, kind):
        assert ivdoctor.choose_dtype(kind).device.startswith(kind)
    else:
        with pytest.raises(ValueError, match=rf"^{kind}: torch .* can use no {kind} device here$"):
            ivdoctor.pick_dtype(kind)


def test_without_a_device_it_is_the_best_that_torch_can_use() -> None:
    best = next(kind for kind in ("cuda", "xpu", "mps", "cpu") if live._usable(torch, kind))

    assert ivdoctor.choose_dtype().device.partition(":")[0] == best
    assert ivdoctor.choose_dtype(torch.device("cpu")) == ivdoctor.choose_dtype("cpu:0") == ivdoctor.choose_dtype("cpu")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({}, "float16"),
        ({"dtype": "float16"}, "float16"),
        ({"torch_dtype": "float32"}, "float16"),
        ({"torch_dtype": "bfloat16"}, "float32"),
        ({"dtype": torch.bfloat16}, "float32"),
        ({"dtype": None, "text_config": {"dtype": "bfloat16"}, "vision_config": {"torch_dtype": "float16"}}, "float32"),
        ({"dtype": "float16", "text_config": {"dtype": "bfloat16"}}, "float16"),
        ({"dtype": "auto", "text_config": None}, "float16"),
        ({"dtype": "float32", "model_type": "t5"}, "float32"),
        ({"dtype": "float16", "model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}, "float32"),
        ({"dtype": "float32", "model_type": "bert"}, "float16"),
    ],
)
def test_a_config_says_what_the_model_was_made_in(processor: Any, tmp_path: Path, config: dict[str, Any], name: str) -> None:
    """As a dict, an object that has one, and a module's own; on hardware that computes fp16 alone."""
    processor(*FP16)
    if torch.__version__ < "2.3":
        pytest.skip("an older torch refuses float16 here")

    class Config:
        def to_dict(self) -> dict[str, Any]:
            return config

    module = nn.Linear(2, 2)
    module.config = Config()

    assert [ivdoctor.choose_dtype("cpu", one).name for one in (config, Config(), module)] == [name] * 3
    if all(isinstance(value, (str, dict, type(None))) for value in config.values()):
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert {ivdoctor.choose_dtype("cpu", one).name for one in (tmp_path, str(tmp_path), tmp_path / "config.json")} == {name}


def test_weights_in_bfloat16_count_whatever_the_config_says(processor: Any, tmp_path: Path) -> None:
    """By their headers; most of the weights, not the first of them."""
    save = pytest.importorskip("safetensors.torch").save_file
    processor(*FP16)
    (tmp_path / "config.json").write_text(json.dumps({"torch_dtype": "float16"}))
    save({"a": torch.zeros(2), "b": torch.zeros(3, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")

    assert ivdoctor.choose_dtype("cpu", tmp_path).name == "float32"

    model = nn.Sequential(nn.Linear(2, 1), nn.Linear(4, 4).bfloat16())
    assert "made in bfloat16" in ivdoctor.choose_dtype("cpu", model).reason


@pytest.mark.parametrize("said", [{"quant_method": "awq"}, {"bits": 4}, {"load_in_8bit": True}])
def test_a_quantised_model_must_not_be_cast(tmp_path: Path, said: Any) -> None:
    """From every kind of source, in one line with what to do instead."""
    config = {"dtype": "float16", "quantization_config": said}
    (tmp_path / "config.json").write_text(json.dumps(config))
    module = nn.Linear(2, 2)
    module.config = config

    for model in (config, module, tmp_path):
        with pytest.raises(
            ValueError, match=r"^the model is quantised \((awq|unknown|bitsandbytes)\): load it with dtype='auto' and do not cast it$"
        ):
            ivdoctor.pick_dtype("cpu", model)


@pytest.mark.skipif(not hasattr(torch, "float8_e4m3fn"), reason="torch before 2.1 has no float8")
def test_weights_of_eight_bits_are_quantised_too() -> None:
    with pytest.raises(ValueError, match=r"quantised \(float8_e4m3fn\)"):
        ivdoctor.pick_dtype("cpu", nn.ParameterList([nn.Parameter(torch.zeros(4).to(torch.float8_e4m3fn), requires_grad=False)]))


@pytest.mark.parametrize("content", [None, "{", "[]", '{"dtype": '])
def test_a_model_that_cannot_be_read_is_said_in_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"^[^\n]+: [^\n]+$") as raised:
        ivdoctor.pick_dtype("cpu", tmp_path)
    assert str(tmp_path) in str(raised.value)
    with pytest.raises(TypeError, match="int is no module, config, path or dict"):
        ivdoctor.pick_dtype("cpu", 3)


def test_a_transformers_config_and_model_are_understood(processor: Any) -> None:
    """The real thing: in 5 the dtype is `dtype`, in 4 `torch_dtype`."""
    transformers = pytest.importorskip("transformers")
    processor(*FP16)
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 20}

    assert ivdoctor.choose_dtype("cpu", transformers.BertConfig(**small)).name == "float16"
    assert ivdoctor.choose_dtype("cpu", transformers.BertConfig(**small, torch_dtype="bfloat16")).name == "float32"
    assert ivdoctor.choose_dtype("cpu", transformers.BertModel(transformers.BertConfig(**small)).bfloat16()).name == "float32"


def test_the_users_process_stays_as_it_was() -> None:
    """Random numbers, default dtype, threads, gradients and the model; and nothing is warned of or printed."""
    model = nn.Linear(2, 2)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    before = (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(), model.weight.dtype, model.weight.device)

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        ivdoctor.pick_dtype("cpu", model)

    assert torch.equal(torch.rand(3), expected)
    assert before == (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(), model.weight.dtype, model.weight.device)
    assert heard == []


@pytest.mark.skipif(not hasattr(torch, "set_default_device"), reason="before torch 2.0 there is no default device")
def test_settings_of_the_user_do_not_mislead_it(processor: Any) -> None:
    """A default device or dtype, autocast and inference mode change nothing of the answer."""
    processor(*BOTH)
    torch.set_default_device("meta")
    torch.set_default_dtype(torch.float16)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
            assert ivdoctor.pick_dtype("cpu") is torch.bfloat16
            assert ivdoctor.pick_dtype("cpu", {"dtype": "float16"}) is torch.float16
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)


def test_importing_ivdoctor_or_its_live_part_imports_no_torch() -> None:
    """The start path stays light, and a machine without torch can import it."""
    code = "import sys, ivdoctor, ivdoctor.live; sys.exit('torch' in sys.modules or 'ivdoctor.probes' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_torch_it_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(ImportError, match=r"^ivdoctor\.pick_dtype needs torch, which cannot be imported: "):
        ivdoctor.pick_dtype()
