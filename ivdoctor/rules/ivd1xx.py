"""IVD1xx: what is installed, and whether the pieces fit."""

from collections.abc import Iterator

from ..builds import carried, carriers, driver_floor, machine_of, runs_on
from ..facts import Driver, Environ, Packages, Place, Precision, Torch
from ..finding import Fix, Problem, Severity
from ..places import hidden
from ..rule import rule
from ..tables import table
from ..text import say
from ..wheels import lacks_code, names
from ._builds import NO_CHANGE, backend_of, cuda_of, for_all, install
from ._remedies import untried


@rule("IVD101", severity=Severity.ERROR)
def cpu_build_beside_a_gpu(torch: Torch, driver: Driver) -> Iterator[Problem]:
    """
    The installed PyTorch has no CUDA, although an NVIDIA GPU and its driver are here.

    Everything then runs on the CPU without a word, or dies with an error about a half-precision operator
    that the CPU lacks. No change of dtype cures that.

    ## Fix
    Install a PyTorch built for a CUDA release that the driver runs.
    """
    if cuda_of(torch) is not None or torch.hip is not None or not driver.devices:
        return
    newest = "%d.%d" % driver.cuda
    names = ", ".join(sorted({device.name for device in driver.devices}))
    yield Problem(
        message=say("torch {version} is built without CUDA, so {names} cannot be used", version=torch.version, names=names),
        evidence=("torch.version.cuda = None", f"NVML: driver {driver.version}, CUDA {newest}, {names}"),
        fixes=(for_all(driver),),
    )


@rule("IVD102", severity=Severity.ERROR, category="neg-driver-runtime")
def driver_older_than_torch(torch: Torch, driver: Driver) -> Iterator[Problem]:
    """
    The driver is too old for the CUDA that PyTorch was built for.

    Where `torch.version.cuda` is None the version itself may still name it (`+cu130`). A CUDA release runs on every driver of its own major version or newer. Below that it needs NVIDIA's
    compatibility package, or PyTorch sees no GPU although the hardware is healthy.

    Source: docs.nvidia.com/deploy/cuda-compatibility (2026-11-22).

    ## Fix
    Update the driver, or install a PyTorch built for the driver's CUDA.
    """
    cuda = cuda_of(torch)
    if cuda is None or runs_on(cuda, driver.cuda) or torch.cuda_available or not driver.devices:
        return
    built, runs = "%d.%d" % cuda, "%d.%d" % driver.cuda
    floor = driver_floor(cuda)
    oldest = say(", {floor} or newer on Linux", floor=floor) if floor else ""
    yield Problem(
        message=say(
            "torch {torch} is built for CUDA {built}; the driver {driver} runs up to CUDA {runs}",
            torch=torch.version,
            built=built,
            driver=driver.version,
            runs=runs,
        ),
        evidence=(
            f"torch.version.cuda = {built}" if torch.cuda else say("torch.version.cuda = None, and the version names {built}", built=built),
            f"NVML: CUDA {runs}",
            "torch.cuda.is_available() = False",
        ),
        fixes=(
            Fix(title=say("Update the driver to one for CUDA {major}", major=cuda[0]) + oldest, kind="hardware", trial=untried(say(NO_CHANGE))),
            for_all(driver),
        ),
    )


@rule("IVD103", severity=Severity.ERROR, category="cuda-arch-mismatch")
def no_code_for_the_device(torch: Torch, place: Place, precision: Precision | None, driver: Driver | None) -> Iterator[Problem]:
    """
    The installed PyTorch carries no code for this GPU.

    Kernels are compiled for a list of architectures. A device that is not on it fails with
    `no kernel image is available for execution on the device`, whatever the dtype. Where an operation really ran, the run is believed and
    not the list.

    ## Fix
    Install a PyTorch whose build still has, or already has, this architecture.
    """
    if not lacks_code(torch, place, precision):
        return
    name = place.identifier
    wanted = say("{names}, or PTX of an older one", names=names(place.compute_capability)) if place.compute_capability else name
    titled = place.title if place.title == name else f"{place.title} ({name})"
    yield Problem(
        message=say("torch {version} has no code for {titled}", version=torch.version, titled=titled),
        evidence=(
            say("architectures in the build: {list}", list=" ".join(torch.arch_list)),
            say("a build must list {name}; published: {builds}", name=wanted, builds=carried(place) or say("none known")),
        ),
        fixes=(install(place.compute_capability, place.gfx, driver if place.backend == "cuda" else None, machine_of(place)),),
    )


@rule("IVD104", severity=Severity.ERROR, category="neg-driver-runtime")
def torch_sees_no_device(torch: Torch, driver: Driver, environ: Environ) -> Iterator[Problem]:
    """
    The driver lists a GPU, the PyTorch build fits it, and yet PyTorch sees none.

    Seen with a container that was given the driver's library and no device, with a driver that was updated and
    not reloaded, and with a missing nvidia-uvm module.

    ## Fix
    Ask the runtime for the device (`--gpus all`), or reload the driver.
    """
    cuda = cuda_of(torch)
    if cuda is None or torch.cuda_available or not driver.devices or hidden(environ, len(driver.devices)) or not runs_on(cuda, driver.cuda):
        return
    yield Problem(
        message=say(
            "the driver {driver} lists {count} device(s), and torch {torch} sees none",
            driver=driver.version,
            count=len(driver.devices),
            torch=torch.version,
        ),
        evidence=("torch.cuda.is_available() = False", f"NVML: {', '.join(device.name for device in driver.devices)}"),
        fixes=(
            Fix(
                title=say("Give the container the device, or reload the driver"),
                kind="setting",
                trial=untried(say("it needs rights that ivdoctor does not take")),
            ),
        ),
    )


@rule("IVD105", severity=Severity.WARNING)
def devices_hidden(environ: Environ, driver: Driver) -> Iterator[Problem]:
    """
    CUDA_VISIBLE_DEVICES hides every GPU of this machine.

    Left over from another job, it sends a model to the CPU without a word.

    ## Fix
    Unset the variable, or name the devices to use.
    """
    if driver.devices and hidden(environ, len(driver.devices)):
        value = environ.get("CUDA_VISIBLE_DEVICES")
        yield Problem(
            message=say("CUDA_VISIBLE_DEVICES hides all {count} device(s)", count=len(driver.devices)),
            evidence=(f"CUDA_VISIBLE_DEVICES={value!r}",),
            fixes=(
                Fix(title=say("Unset it"), kind="setting", command="unset CUDA_VISIBLE_DEVICES", trial=untried(say("it is the caller's setting"))),
            ),
        )


@rule("IVD106", severity=Severity.NOTE)
def dead_pynvml_package(packages: Packages) -> Iterator[Problem]:
    """
    The package `pynvml` is installed: it is another package than the one that provides the module of that name.

    The module `pynvml` comes from nvidia-ml-py. The package called pynvml is deprecated, and torch warns when it
    finds it.

    ## Fix
    Uninstall pynvml and keep nvidia-ml-py.
    """
    version = packages.version("pynvml")
    if version:
        yield Problem(
            message=say("the deprecated package pynvml {version} is installed", version=version),
            evidence=(f"pynvml {version}", f"nvidia-ml-py {packages.version('nvidia-ml-py') or say('absent')}"),
            fixes=(
                Fix(
                    title=say("Remove it, and put nvidia-ml-py back, whose module it overwrites"),
                    kind="command",
                    command="pip uninstall -y pynvml && pip install --force-reinstall nvidia-ml-py",
                    trial=untried(say(NO_CHANGE)),
                ),
            ),
        )


@rule("IVD107", severity=Severity.WARNING)
def package_shadowed(packages: Packages) -> Iterator[Problem]:
    """
    A package is installed twice, and only the first copy on the path is imported.

    Usual with a system-wide copy below a virtual environment or a `--user` install; an upgrade then changes
    the copy nobody imports.

    ## Fix
    Uninstall the copy that is not wanted.
    """
    for copy in packages.shadowed:
        yield Problem(
            message=say(
                "{name} is installed twice: {first} is imported, {second} is hidden behind it",
                name=copy.name,
                first=packages.version(copy.name),
                second=copy.version,
            ),
            fixes=(Fix(title=say("Uninstall one of them"), kind="command", trial=untried(say(NO_CHANGE))),),
        )


@rule("IVD108", severity=Severity.WARNING)
def package_metadata_broken(packages: Packages) -> Iterator[Problem]:
    """
    A package's metadata cannot be read: an install or uninstall was cut off.

    Its version is then unknown, to ivdoctor and to every check in transformers that asks for it.

    ## Fix
    Install the package again.
    """
    for folder in packages.broken:
        yield Problem(
            message=say("the metadata in {folder} has no name or version", folder=folder),
            fixes=(Fix(title=say("Install the package again"), kind="command", trial=untried(say(NO_CHANGE))),),
        )


@rule("IVD109", severity=Severity.NOTE)
def precision_variable_set(environ: Environ) -> Iterator[Problem]:
    """
    An environment variable changes the precision of what runs here.

    Results then differ from those of another shell on the same machine.

    ## Fix
    Unset it, or note it beside every result.
    """
    meaning = {row["name"]: row for row in table("environ") if row["effect"] == "precision"}
    for variable in environ.variables:
        if variable.name in meaning:
            row = meaning[variable.name]
            yield Problem(
                message=f"{variable.name}={variable.value}: {row['meaning']}",
                evidence=(f"{row['source']} ({row['date']})",),
                fixes=(
                    Fix(title=say("Unset it"), kind="setting", command=f"unset {variable.name}", trial=untried(say("it is the caller's setting"))),
                ),
            )


@rule("IVD110", severity=Severity.ERROR, category="cuda-arch-mismatch")
def build_for_other_hardware(torch: Torch, place: Place) -> Iterator[Problem]:
    """
    The torch that was named for a target is built for other hardware: for the CPU alone, or for another vendor's.

    Nothing of it runs on that device, in any dtype.

    ## Fix
    Name, and install, a build for the device.
    """
    if place.kind != "target" or place.backend not in ("cuda", "rocm") or backend_of(torch) == place.backend:
        return
    yield Problem(
        message=say(
            "torch {version} is not built for {backend}, which {title} needs",
            version=torch.version,
            backend={"cuda": "CUDA", "rocm": "ROCm"}[place.backend],
            title=place.title,
        ),
        evidence=(say("published builds with code for it: {builds}", builds=carried(place) or say("none known")),),
        fixes=(install(place.compute_capability, place.gfx, machine=machine_of(place)),),
    )


@rule("IVD111", severity=Severity.WARNING, category="cuda-arch-mismatch")
def newest_torch_lacks_the_device(place: Place, torch: Torch | None) -> Iterator[Problem]:
    """
    The newest PyTorch carries no code for this GPU any more: `pip install torch` brings one that does not run there.

    Maxwell, Pascal and Volta lost their code release by release, Kepler long before. Asked where no torch was named for a target; a torch
    that is named or installed is IVD103's matter.

    ## Fix
    Pin the last build that has it.
    """
    if torch is not None or place.kind != "target" or place.backend != "cuda":
        return
    found = carriers(place.compute_capability, place.gfx, machine_of(place))
    if not found or any(one.latest for one in found):
        return
    yield Problem(
        message=say("the newest torch has no code for {title}; the last that has is {version}", title=place.label, version=found[0].torch_last),
        evidence=(say("published builds with code for it: {builds}", builds=carried(place)),),
        fixes=(install(place.compute_capability, place.gfx, machine=machine_of(place)),),
    )
