"""IVD15x: failures read from a text whose cause is what is installed, or how much of it fits: no dtype is wrong."""

from collections.abc import Iterator

from ..facts import Failure, Place
from ..finding import Problem, Severity
from ..rule import rule
from ..text import say
from ..wheels import names
from ._failures import fix, named, problem

PROJECTS = {
    "accelerate": "accelerate",
    "auto_gptq": "auto-gptq",
    "awq": "autoawq",
    "bitsandbytes": "bitsandbytes",
    "cv2": "opencv-python",
    "decord": "decord",
    "deepspeed": "deepspeed",
    "diffusers": "diffusers",
    "einops": "einops",
    "flash_attn": "flash-attn --no-build-isolation",
    "optimum": "optimum",
    "peft": "peft",
    "PIL": "pillow",
    "safetensors": "safetensors",
    "sentencepiece": "sentencepiece",
    "sklearn": "scikit-learn",
    "timm": "timm",
    "transformers": "transformers",
    "triton": "triton",
    "vllm": "vllm",
    "xformers": "xformers",
    "yaml": "pyyaml",
}
"""Modules and the projects on PyPI that bring them. Source: the projects' own pages, 2026-11-23."""

NO_CAST = "a cast: no dtype is wrong"


@rule("IVD150", severity=Severity.ERROR, category="cuda-arch-mismatch")
def build_without_the_device(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    The installed build carries no code for the GPU.

    A wheel for older or newer architectures, or a ptxas older than the GPU. Every dtype fails alike.

    ## Fix
    Install a build that carries the architecture.
    """
    if failure.category == "cuda-arch-mismatch":
        wanted = names(place.compute_capability) if place and place.compute_capability else failure.has or failure.needs
        yield problem(
            failure,
            say("the installed build carries no code for this GPU{which}", which=f" ({wanted})" if wanted else ""),
            (
                fix(
                    say("Install a torch build whose `torch.cuda.get_arch_list()` has {arch}", arch=wanted or say("the GPU's architecture")),
                    "version",
                    command="pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/CUDA  # cu126, cu128, ... as that GPU needs",
                ),
                fix(say("And extensions that were compiled (flash-attn, xformers, bitsandbytes, vllm): reinstall them for it, too"), "version"),
            ),
            avoid=(say("any change of dtype: no kernel runs there, in no dtype"),),
            look_next=(say("compare `{code}`", code="torch.cuda.get_device_capability(), torch.cuda.get_arch_list()"),),
            more=named(place),
        )


@rule("IVD151", severity=Severity.ERROR, category="neg-oom")
def out_of_memory(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    The device's memory is used up.

    With a 16-bit model a cast gains nothing; with one that was loaded in float32 by accident it halves the weights.

    ## Fix
    Need less: shorter context, smaller batch, offloading, a quantised checkpoint, more devices.
    """
    if failure.category == "neg-oom":
        lowered = failure.message.lower()
        engine = "vllm" in failure.words or any(word in lowered for word in ("gpu_memory_utilization", "kv cache", "cache blocks"))
        ggml = any(word in lowered for word in ("ggml", "llama", "cudamalloc"))
        yield problem(
            failure,
            say("the device's memory is used up; no dtype is wrong"),
            (
                fix(
                    say("Need less: smaller batch, fewer frames, shorter context, lower resolution"),
                    "other",
                    command="vllm serve MODEL --max-model-len 8192 --gpu-memory-utilization 0.95"
                    if engine
                    else "llama-server -c 8192"
                    if ggml
                    else "",
                ),
                fix(
                    say("Or spread or offload the model, or take a quantised checkpoint"),
                    "kernel",
                    "" if engine or ggml else 'model = AutoModel.from_pretrained(path, device_map="auto")',
                    command="vllm serve MODEL --tensor-parallel-size 2" if engine else "llama-server -ngl 20  # layers on the GPU" if ggml else "",
                ),
            ),
            avoid=(say("a cast between 16-bit formats: it frees nothing"),),
            look_next=()
            if engine or ggml
            else (
                say(
                    "whether the weights are float32 by accident: `{code}`; transformers 4 loads float32 where no dtype is named",
                    code="next(model.parameters()).dtype",
                ),
            ),
            more=named(place),
        )


@rule("IVD152", severity=Severity.ERROR, category="neg-missing-package")
def package_missing(failure: Failure) -> Iterator[Problem]:
    """
    A package is not installed.

    FlashAttention is asked for by many configurations and needed by none: sdpa gives the same result.

    ## Fix
    Install it, or ask for what is there.
    """
    if failure.category == "neg-missing-package":
        name = failure.needs or failure.op or failure.has or failure.device
        flash = "flash" in (name or failure.message).lower()
        torn = "undefined symbol" in failure.message or "seems to be broken" in failure.message
        name = name.partition(".")[0]
        install = fix(
            say("Or install it, in the environment that runs this")
            if flash
            else say(
                "Install the project that brings it, in the environment that runs this; a project on PyPI may have the module's name and be another"
            ),
            "version",
            command=f"pip install {PROJECTS[name]}" if name in PROJECTS else "",
        )
        rebuilt = fix(
            say("Or reinstall it for the torch that is there: it was built for another one"),
            "version",
            command="pip install --force-reinstall --no-deps PACKAGE",
        )
        without = fix(
            say("Do without: sdpa gives the same result"), "attention", 'model = AutoModel.from_pretrained(path, attn_implementation="sdpa")'
        )
        yield problem(
            failure,
            say("a compiled package does not fit the installed torch: it was built for another one")
            if torn
            else say("the package `{name}` is not installed", name=name)
            if name
            else say("a package is not installed"),
            (*((without,) if flash else ()), rebuilt if torn else install),
            avoid=(say(NO_CAST),),
        )


@rule("IVD153", severity=Severity.ERROR, category="neg-remote-code-config")
def repository_code_or_configuration(failure: Failure) -> Iterator[Problem]:
    """
    The model's repository brings code or a configuration that this call or this transformers does not take.

    Code of its own runs only with `trust_remote_code=True`; its classes may not know an attention switch, or not fit the release.

    ## Fix
    Pass what the repository asks for, after reading its code; update the repository's files or pin the release that it names.
    """
    if failure.category != "neg-remote-code-config":
        return
    lowered = failure.message.lower()
    unknown = "architecture" in lowered or "configuration class" in lowered
    code = "trust_remote_code" in lowered or "execute" in lowered
    switch = "attention" in lowered or "attn" in lowered or bool(failure.op)
    own = "remote code" in failure.libraries or "use_flash_attn" in failure.op
    trust = fix(
        say("Read the repository's code, and let it run if you trust it"),
        "other",
        "model = AutoModel.from_pretrained(path, trust_remote_code=True)",
    )
    plain = fix(
        say("Leave out the attention switch that this class does not know; or take sdpa, and eager where it does not know that either"),
        "attention",
        f'model = AutoModel.from_pretrained(path, attn_implementation="sdpa"{", trust_remote_code=True" if own else ""})',
    )
    newer = fix(say("Upgrade transformers: this release does not know the model's architecture"), "version", command="pip install -U transformers")
    fits = fix(
        say("Bring code and library together: update the repository's files, or install the transformers that its config.json names"),
        "version",
        command="pip install transformers==VERSION",
    )
    yield problem(
        failure,
        say("this transformers does not know the model's architecture")
        if unknown
        else say("the repository's code may run only when it is trusted")
        if code
        else say("the model's class does not take this attention switch")
        if switch
        else say("the repository's code and this transformers do not fit each other"),
        (newer,) if unknown else (trust, fits) if code else (plain, fits) if switch else (fits, trust),
        avoid=(
            say(NO_CAST),
            *((say("`trust_remote_code=True`: the flag runs the repository's code, and an upgrade is enough"),) if unknown else ()),
        ),
    )


@rule("IVD154", severity=Severity.ERROR, category="neg-driver-runtime")
def driver_or_runtime(failure: Failure, place: Place | None) -> Iterator[Problem]:
    """
    The driver, or a CUDA library under torch, is at fault.

    A driver older than the CUDA of the build; a library that does not fit; an illegal access in a kernel, reported at a later line.

    ## Fix
    A driver or a build that fit each other; for an illegal access, the kernel that made it.
    """
    if failure.category != "neg-driver-runtime":
        return
    access = failure.family == "illegal-access"
    library = failure.family == "cublas"
    yield problem(
        failure,
        say("a kernel accessed memory that is not its own; the line that raises is a later one")
        if access
        else say("cuBLAS failed with {status}, and its operands are not bfloat16: no dtype is known to be wrong", status=failure.has or "an error")
        if library and "CUDA_R_" in failure.message
        else say("cuBLAS failed with {status}, and the text does not name the dtype of its operands", status=failure.has or "an error")
        if library
        else say("the driver does not fit the CUDA that torch was built for, or does not answer"),
        (
            fix(
                say("Find the kernel: run once with synchronous launches, without torch.compile and with another attention"),
                "kernel",
                command="CUDA_LAUNCH_BLOCKING=1 python SCRIPT",
            ),
            fix(say("Upgrade the library whose kernel it is"), "version"),
        )
        if access
        else (
            fix(say("Start NVIDIA's fabric manager, which this kind of machine needs"), "other", command="sudo systemctl start nvidia-fabricmanager"),
            fix(say("Or reboot after a change of driver"), "other"),
        )
        if "error 802" in failure.message.lower()
        else (
            fix(
                say("Install torch and its CUDA libraries from one source: two cuBLAS in one environment are the usual reason"),
                "version",
                command="pip install --force-reinstall torch",
            ),
            fix(
                say("And look whether memory was used up, or an index out of range: both show so"),
                "other",
                command="CUDA_LAUNCH_BLOCKING=1 python SCRIPT",
            ),
        )
        if library
        else (
            fix(
                say("Install a torch built for a CUDA that the driver knows, or a newer driver"),
                "version",
                command="nvidia-smi  # its CUDA Version is the newest the driver runs",
            ),
        ),
        avoid=() if library and "CUDA_R_" not in failure.message else (say(NO_CAST),),
        look_next=(say("the dtypes of the product that raises: an int8 or float8 one is refused with the same status"),)
        if library and "CUDA_R_" not in failure.message
        else (),
        more=named(place),
    )


@rule("IVD155", severity=Severity.ERROR, category="neg-missing-feature")
def feature_missing(failure: Failure) -> Iterator[Problem]:
    """
    The installed release lacks a function, an argument, or an operator for this backend.

    Code and library are of different years; or an operator exists for CUDA only and ran on the CPU.

    ## Fix
    Bring the releases together, or run where the operator exists.
    """
    if failure.category == "neg-missing-feature":
        backend = failure.family == "other-backend"
        what = failure.needs or failure.op
        yield problem(
            failure,
            say("`{op}` does not exist for the {backend} backend", op=failure.op, backend=failure.has)
            if backend
            else say("the installed release has no `{what}`", what=what)
            if what
            else say("the installed release lacks what the code asks for"),
            (
                fix(say("Run where the operator exists, mostly on CUDA"), "device", 'model = model.to("cuda")'),
                fix(say("Or upgrade torch"), "version", command="pip install -U torch"),
            )
            if backend
            else (
                fix(say("Upgrade the library, or take the release of the code that fits it"), "version", command="pip install -U torch transformers"),
            ),
            avoid=(say(NO_CAST),),
        )


@rule("IVD159", severity=Severity.WARNING, confidence="possible")
def failure_not_recognised(failure: Failure) -> Iterator[Problem]:
    """
    The text holds an exception that ivdoctor does not know.

    It says so instead of guessing: an unknown message is no reason for a cast.

    ## Fix
    Send the lines of the traceback as an issue, so that the next release knows them.
    """
    if not failure.category:
        yield problem(
            failure,
            say("an exception that ivdoctor does not know: {error}", error=failure.error or say("no type")),
            avoid=(say("a cast on suspicion: nothing in the text says that a dtype is wrong"),),
            look_next=(say("read the first exception of a chain, not the last: the others only pass it on"),),
        )
