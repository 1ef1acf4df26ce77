"""IVD15x: what is installed, or how much of it fits."""

import pytest

from ivdoctor.facts import Place
from ivdoctor.finding import Severity
from ivdoctor.rules.ivd15x import (
    build_without_the_device,
    driver_or_runtime,
    failure_not_recognised,
    feature_missing,
    out_of_memory,
    package_missing,
    repository_code_or_configuration,
)
from ivdoctor.testing import a_failure, a_frame, a_place, findings

T4 = a_place("sm_75", "Tesla T4")
A100 = a_place("sm_80", "NVIDIA A100-SXM4-80GB")
B200 = a_place("sm_100", "NVIDIA B200")


@pytest.mark.parametrize(
    ("place", "changes", "wanted"),
    [
        (B200, {}, "sm_100"),
        (B200, {"has": "sm_120"}, "sm_100"),
        (None, {"has": "sm_120"}, "sm_120"),
        (None, {"needs": "sm_103"}, "sm_103"),
        (a_place(), {"has": "sm_37"}, "sm_37"),
    ],
)
def test_ivd150_fires_with_the_architecture_that_the_build_must_have(place: Place | None, changes: dict[str, str], wanted: str) -> None:
    """The place's own before the one that the message names; a CPU has none."""
    (found,) = findings(build_without_the_device, a_failure("cuda-arch-mismatch", **changes), *filter(None, [place]))
    assert wanted in found.message
    assert wanted in found.fixes[0].title
    assert [fix.action for fix in found.fixes] == ["version", "version"]
    assert found.fixes[0].command.startswith("pip install --force-reinstall torch")
    assert "dtype" in found.avoid[0]


def test_ivd150_fires_without_any_architecture_where_none_is_known() -> None:
    """It says that it is the GPU's, and names nothing made up."""
    (found,) = findings(build_without_the_device, a_failure("cuda-arch-mismatch"))
    assert found.message == "the installed build carries no code for this GPU"
    assert "has the GPU's architecture" in found.fixes[0].title


def test_ivd150_silent_where_the_driver_is_at_fault() -> None:
    """The build has the code, and the driver does not run it."""
    assert findings(build_without_the_device, a_failure("neg-driver-runtime"), B200) == []


@pytest.mark.parametrize(
    ("message", "words", "first", "second"),
    [
        ("CUDA out of memory.", (), "", ""),
        ("CUDA out of memory.", ("vllm",), "vllm serve MODEL --max-model-len 8192", "vllm serve MODEL --tensor-parallel-size"),
        ("Try increasing `gpu_memory_utilization`", (), "vllm serve MODEL", "vllm serve MODEL"),
        ("larger than the available KV cache memory", (), "vllm serve MODEL", "vllm serve MODEL"),
        ("ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory", (), "llama-server -c", "llama-server -ngl"),
    ],
)
def test_ivd151_fires_with_needing_less_first(message: str, words: tuple[str, ...], first: str, second: str) -> None:
    """Then spreading, in the words of the engine; whether the weights are float32 by accident is a question, where a script loads them."""
    (found,) = findings(out_of_memory, a_failure("neg-oom", message=message, words=words), T4)
    assert [fix.action for fix in found.fixes] == ["other", "kernel"]
    assert found.fixes[0].command.startswith(first)
    assert found.fixes[1].command.startswith(second)
    assert [bool(fix.command) for fix in found.fixes] == [bool(first)] * 2
    assert bool(found.fixes[1].code) is not bool(first)
    assert bool(found.look_next) is not bool(first)
    assert "16-bit" in found.avoid[0]
    assert "Tesla T4" in found.evidence[-1]


def test_ivd151_silent_on_an_index_out_of_range() -> None:
    """Which the GPU reports as vaguely."""
    assert findings(out_of_memory, a_failure("neg-index-out-of-range"), T4) == []


@pytest.mark.parametrize(
    ("changes", "actions", "command"),
    [
        ({"needs": "flash_attn"}, ["attention", "version"], "pip install flash-attn --no-build-isolation"),
        ({"needs": "flash_attn.bert_padding"}, ["attention", "version"], "pip install flash-attn --no-build-isolation"),
        ({"needs": "", "message": "FlashAttention2 has been toggled on, but it cannot be used"}, ["attention", "version"], ""),
        ({"needs": "timm"}, ["version"], "pip install timm"),
        ({"needs": "", "op": "timm"}, ["version"], "pip install timm"),
        ({"needs": "", "has": "apex"}, ["version"], ""),
        ({"needs": "", "message": "is not installed"}, ["version"], ""),
    ],
)
def test_ivd152_fires_with_sdpa_first_for_flash_attention_alone(changes: dict[str, str], actions: list[str], command: str) -> None:
    """It is hard to build and gives the same numbers; any other package is installed, and a name that is not known is not made up."""
    (found,) = findings(package_missing, a_failure("neg-missing-package", **changes))
    assert [fix.action for fix in found.fixes] == actions
    assert found.fixes[-1].command == command
    assert ("attn_implementation" in found.fixes[0].code) is (len(actions) == 2)
    assert ("`" in found.message) is any(changes.get(name) for name in ("needs", "op", "has"))


@pytest.mark.parametrize(
    ("message", "actions"),
    [
        ("flash_attn_2_cuda.so: undefined symbol: _ZN3c10", ["attention", "version"]),
        ("the installation of timm seems to be broken", ["version"]),
    ],
)
def test_ivd152_fires_with_a_rebuild_where_the_package_is_there_and_torn(message: str, actions: list[str]) -> None:
    """It was built for another torch: installing what is installed changes nothing."""
    (found,) = findings(package_missing, a_failure("neg-missing-package", message=message, needs="", op="", has="", device=""))
    assert found.message == "a compiled package does not fit the installed torch: it was built for another one"
    assert [fix.action for fix in found.fixes] == actions
    assert "--force-reinstall" in found.fixes[-1].command


def test_ivd152_silent_where_a_module_lacks_an_attribute() -> None:
    """The package is there, and too old."""
    assert findings(package_missing, a_failure("neg-missing-feature")) == []


@pytest.mark.parametrize(
    ("message", "op", "actions"),
    [
        ("Loading X requires you to execute the configuration file in that repo on your local machine.", "", ["other", "version"]),
        ("Please pass the argument `trust_remote_code=True`", "", ["other", "version"]),
        ("InternVLChatModel does not support Flash Attention 2.0 yet.", "", ["attention", "version"]),
        ("InternVLChatModel.__init__() got an unexpected keyword argument", "use_flash_attn", ["attention", "version"]),
        ("Transformers does not recognize this architecture.", "", ["version"]),
        ("Unrecognized configuration class: set the option `trust_remote_code=True`", "", ["version"]),
        ("The repository's files do not fit.", "", ["version", "other"]),
    ],
)
def test_ivd153_fires_with_what_the_message_asks_for_first(message: str, op: str, actions: list[str]) -> None:
    """Trust where code would run, after reading it; sdpa where a switch is unknown; an upgrade where the architecture is; else the releases together."""
    (found,) = findings(repository_code_or_configuration, a_failure("neg-remote-code-config", message=message, op=op))
    assert [fix.action for fix in found.fixes] == actions
    trusted = [fix for fix in found.fixes if fix.action == "other"]
    assert all(fix.title.startswith("Read the repository's code") for fix in trusted)
    assert ("trusted" in found.message) is (actions[0] == "other")
    assert any("an upgrade is enough" in one for one in found.avoid) is (actions == ["version"])


@pytest.mark.parametrize(
    ("op", "libraries", "own"), [("use_flash_attn", (), True), ("attn_implementation", ("remote code",), True), ("attn_implementation", (), False)]
)
def test_ivd153_fires_with_the_trust_flag_only_for_code_of_the_repositorys_own(op: str, libraries: tuple[str, ...], own: bool) -> None:
    """A class of transformers needs none."""
    failure = a_failure("neg-remote-code-config", message="got an unexpected keyword argument", op=op, libraries=libraries)
    (found,) = findings(repository_code_or_configuration, failure)
    assert ("trust_remote_code=True" in found.fixes[0].code) is own


def test_ivd153_silent_where_the_package_is_missing() -> None:
    """Nothing of the repository's own is refused."""
    assert findings(repository_code_or_configuration, a_failure("neg-missing-package")) == []


@pytest.mark.parametrize(
    ("family", "text", "message", "actions"),
    [
        ("driver", "", "the driver does not fit", ["version"]),
        ("driver", "Error 802: system not yet initialized", "the driver does not fit", ["other", "other"]),
        ("illegal-access", "", "the line that raises is a later one", ["kernel", "version"]),
        ("cublas", "a, CUDA_R_16F, lda", "cuBLAS failed with CUBLAS_STATUS_X, and its operands are not bfloat16", ["version", "other"]),
        ("cublas", "", "cuBLAS failed with CUBLAS_STATUS_X, and the text does not name the dtype", ["version", "other"]),
    ],
)
def test_ivd154_fires_for_a_driver_a_kernel_or_a_library(family: str, text: str, message: str, actions: list[str]) -> None:
    """Each has its own way out, and none is a cast; where the operands of a product are not named, no dtype is called right."""
    (found,) = findings(driver_or_runtime, a_failure("neg-driver-runtime", family=family, message=text, has="CUBLAS_STATUS_X"), A100)
    assert message in found.message
    assert [fix.action for fix in found.fixes] == actions
    open_question = family == "cublas" and not text
    assert found.avoid == (() if open_question else ("a cast: no dtype is wrong",))
    assert bool(found.look_next) is open_question
    assert any("CUDA_LAUNCH_BLOCKING=1" in fix.command for fix in found.fixes) is (family != "driver")
    (found,) = findings(driver_or_runtime, a_failure("neg-driver-runtime", family="cublas", has=""), A100)
    assert "cuBLAS failed with an error" in found.message


def test_ivd154_silent_where_cublas_refused_bfloat16() -> None:
    """That is the hardware's own limit."""
    assert findings(driver_or_runtime, a_failure("bf16-gemm-unsupported-gpu"), T4) == []


@pytest.mark.parametrize(
    ("changes", "message", "actions"),
    [
        (
            {"family": "other-backend", "op": "aten::_scaled_mm", "has": "CPU"},
            "`aten::_scaled_mm` does not exist for the CPU backend",
            ["device", "version"],
        ),
        ({"family": "missing-feature", "op": "", "needs": "RMSNorm"}, "the installed release has no `RMSNorm`", ["version"]),
        ({"family": "missing-feature", "op": "approximate", "needs": ""}, "the installed release has no `approximate`", ["version"]),
        ({"family": "missing-feature", "op": "", "needs": ""}, "the installed release lacks what the code asks for", ["version"]),
    ],
)
def test_ivd155_fires_with_another_device_only_where_the_backend_lacks_it(changes: dict[str, str], message: str, actions: list[str]) -> None:
    """An old release lacks it everywhere."""
    (found,) = findings(feature_missing, a_failure("neg-missing-feature", **changes))
    assert found.message == message
    assert [fix.action for fix in found.fixes] == actions


def test_ivd155_silent_where_a_dtype_is_missing() -> None:
    """`torch.float8_e4m3fn` is no function."""
    assert findings(feature_missing, a_failure("neg-missing-dtype")) == []


@pytest.mark.parametrize(("error", "said"), [("AcmeError", "AcmeError"), ("", "no type")])
def test_ivd159_fires_as_a_possible_warning_without_a_fix(error: str, said: str) -> None:
    """It guesses nothing, and says what not to do."""
    (found,) = findings(failure_not_recognised, a_failure("", error=error, frames=(a_frame(),)))
    assert (found.severity, found.confidence, found.fixes, found.category) == (Severity.WARNING, "possible", (), "")
    assert found.message == f"an exception that ivdoctor does not know: {said}"
    assert "a cast on suspicion" in found.avoid[0]
    assert found.location is not None
    assert (found.location.file, found.location.line) == ("train.py", 12)


def test_ivd159_silent_on_whatever_has_a_category() -> None:
    """Another rule answers it."""
    assert findings(failure_not_recognised, a_failure("neg-other")) == []
    assert findings(failure_not_recognised, a_failure("acme-flux")) == []
