"""Processors by the names of their microarchitectures, for `--target`."""

import re

from .facts import Place
from .tables import cpu_dtype_row, table
from .text import say
from .titles import fitting

MACHINES = ("x86_64", "aarch64")

COMMON = {
    "naples": "zen",
    "rome": "zen2",
    "milan": "zen3",
    "genoa": "zen4",
    "bergamo": "zen4",
    "siena": "zen4",
    "turin": "zen5",
    "skylakesp": "skylake_avx512",
    "skylakex": "skylake_avx512",
    "emeraldrapids": "sapphirerapids",
    "graviton2": "neoverse_n1",
    "graviton3": "neoverse_v1",
    "graviton4": "neoverse_v2",
    "altra": "neoverse_n1",
    "axion": "neoverse_v2",
    "cobalt100": "neoverse_n2",
    "grace": "neoverse_v2",
}
"""What the makers and the clouds call them, to archspec's names; the vendors' announcements (from knowledge, 2026-11-23)."""

UNLISTED = {"sapphirerapids": frozenset({"avx512_fp16"})}
"""What archspec 0.2.7 leaves out: `gcc 12.2 -march=sapphirerapids` defines `__AVX512FP16__` (2026-11-23)."""

OTHERS = frozenset({"k10"})
"""Names of archspec's that sooner mean something else: Tesla K10."""


HERE = "cpu"
"""What asks for this machine's own."""

MEMORY = re.compile(r"(.*\S)[\s_-]+([1-9][0-9]{0,4})\s?gi?b", re.IGNORECASE)
"""`zen3-64GB`: a processor, and the memory beside it."""


def processor(name: str, count: int = 1) -> Place | None:
    """
    A processor with the instruction sets that archspec lists for its microarchitecture; None where archspec knows none of the name.

    Its memory is what is named with it (`zen3-64GB`, GB taken for GiB), or this machine's own for `cpu` alone; else it is not known.
    """
    sized = MEMORY.fullmatch(name.strip())
    bare = sized[1] if sized else name
    if sized and fitting(bare):  # an Apple chip is asked for as an accelerator, and its memory is the table's
        return None
    own = bare.strip().lower() == HERE
    found = _named(_here() if own else _glued(bare))
    if not found:
        return None
    from archspec import __version__

    microarchitecture, machine, features = found
    listed = say("with the instruction sets that archspec {version} lists for {name}", version=__version__, name=microarchitecture)
    if more := ", ".join(sorted(UNLISTED.get(microarchitecture, ()))):
        listed = say("{listed}, and {more}", listed=listed, more=more)
    return Place(
        name=f"{microarchitecture} {sized[2]}GB" if sized else microarchitecture,
        kind="target",
        vendor="CPU",
        title=microarchitecture,
        note=listed,
        count=count,
        memory_mib=int(sized[2]) * 1024 if sized else _memory_mib() if own else 0,
        architecture=microarchitecture,
        reachable=False,
        dtypes=cpu_dtype_row(features, machine),
    )


def _memory_mib() -> int:
    """Of this machine; 0 where it cannot be asked."""
    try:
        import psutil

        return int(psutil.virtual_memory().total) // 2**20
    except (ImportError, OSError, RuntimeError):
        return 0


def _here() -> str:
    """What archspec calls this machine's own processor."""
    import archspec.cpu

    return str(archspec.cpu.host().name)


def processors() -> tuple[str, ...]:
    """The names that `processor` knows, as archspec writes them."""
    import archspec.cpu

    return tuple(name for name, one in archspec.cpu.TARGETS.items() if one.family.name in MACHINES and name not in OTHERS and _told(one))


def _named(name: str) -> tuple[str, str, tuple[str, ...]] | None:
    """The microarchitecture, its machine, and what `cpu_features.csv` says of that machine and archspec of it or of its ancestors."""
    import archspec.cpu

    by_name = {_glued(one): one for one in processors()}
    wanted = COMMON.get(name, by_name.get(name, ""))
    if wanted not in archspec.cpu.TARGETS:
        return None
    one = archspec.cpu.TARGETS[wanted]
    has = set(one.features).union(*(ancestor.features for ancestor in one.ancestors), UNLISTED.get(wanted, ()))
    machine = one.family.name
    return wanted, machine, tuple(row["feature"] for row in table("cpu_features") if row["machine"] == machine and row["feature"] in has)


def _told(one: object) -> bool:
    """Whether archspec lists what it has: of the bare versions of ARM's architecture it lists nothing, which is not the same as nothing."""
    return not (getattr(one, "vendor", "") == "generic" and getattr(one, "name", "").startswith(("arm", "aarch64")))


def _glued(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.lower())
