"""Which files of a folder are the weights, by their names and by the index."""

import os
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from ..text import say
from .reading import Nothing, Torn, Unreadable, is_folder, parsed, reason, shown, small

Format = Literal["safetensors", "pickle", "gguf", "other"]

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"

SHARD = re.compile(r"(.{1,255})-([0-9]{5})-of-([0-9]{5})\.(safetensors|bin)", re.DOTALL)
PICKLE = re.compile(r"pytorch_model.*\.bin|.*\.(?:pt|pth|ckpt)", re.DOTALL)
GGUF = re.compile(r"(.{0,255}?)(?:-([0-9]{5})-of-([0-9]{5}))?\.gguf", re.IGNORECASE | re.DOTALL)
PROJECTOR = re.compile(r"mmproj", re.IGNORECASE)
"""The part of a GGUF model that sees or hears; it is loaded beside the other."""

IMATRIX = re.compile(r"imatrix|importance", re.IGNORECASE)
"""What quantising to GGUF leaves beside it, and no weights."""

OTHER = re.compile(r".*\.(?:ggml|onnx|h5|msgpack|npz|bin)")
TRAINING = re.compile(r"(?:training_args|optimizer|scheduler|scaler|rng_state|trainer_state).*")
"""Saved beside the weights, and none."""

LARGEST_INDEX = 100 * 2**20
"""Bytes: the largest in public, of a thousand billion weights in experts, has about thirty million."""

WEIGHTS = re.compile(rf".*\.(?:safetensors|gguf)|{PICKLE.pattern}|{OTHER.pattern}")

MOST_TENSORS = 500_000
"""Of a checkpoint, for the sake of memory: the largest in public have two hundred thousand."""

MOST_NAMED = 8
"""Files or folders in one sentence."""

DEEPEST_BELOW = 4
MOST_ENTRIES_BELOW = 20_000
"""Levels and names that are looked at to say where the weights are."""

MOST_FILES = 10_000
"""Shards of one checkpoint: the largest in public have a few hundred."""

MOST_ENTRIES = 100_000
"""Names in a folder."""


@dataclass(slots=True, kw_only=True)
class Layout:
    """The files that make up a checkpoint."""

    format: Format
    files: list[str]
    missing: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    """`FILE: reason`."""
    tensors: dict[str, list[str]] = field(default_factory=dict)
    """What the index puts in each file."""
    several: bool = False
    """Whether the files may be one model or many."""


def layout_of(folder: str) -> Layout:
    """
    In the order in which transformers looks, and then by what the names say.

    Raises:
        Nothing: there are no weights.
        Unreadable: the folder or the index cannot be looked at, or nobody can say which files are the model's.
    """
    names = _names(folder)
    layout = _named(folder, names)
    gone = [name for name in layout.files if name not in names or _dangling(os.path.join(folder, name))]
    layout.files = sorted(set(layout.files).difference(gone))
    layout.missing += gone
    return layout


def _names(folder: str) -> frozenset[str]:
    if not is_folder(folder):
        raise Nothing(say("it is no folder"))
    try:
        with os.scandir(folder) as entries:
            names = frozenset(entry.name for entry in islice(entries, MOST_ENTRIES + 1))
    except OSError as error:
        raise Unreadable(say("the folder cannot be listed: {reason}", reason=reason(error))) from error
    if len(names) > MOST_ENTRIES:
        raise Unreadable(say("the folder has more than {count} entries", count=MOST_ENTRIES))
    return names


def _dangling(path: str) -> bool:
    """A link whose target was deleted, as clearing a cache leaves them; a circle of links is no such one."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # whoever opens it will say what is wrong
    return False


def _named(folder: str, there: frozenset[str]) -> Layout:
    """What stands first is what transformers takes first; hidden files are nobody's weights, though macOS leaves one beside each."""
    names = frozenset(name for name in there if not name.startswith("."))
    layout = _safe(folder, names) or _torch(folder, names) or _unindexed(names, "safetensors") or _gguf(names) or _rest(names)
    if layout:
        return layout
    below = _below(folder)
    if below:
        raise Nothing(say("the folder has no weights itself; sub-folders with weights: {folders}", folders=_some(below)))
    raise Nothing(say("the folder has no weights"))


def _safe(folder: str, names: frozenset[str]) -> Layout | None:
    if SINGLE in names and (INDEX not in names or os.path.isfile(os.path.join(folder, SINGLE))):
        return Layout(format="safetensors", files=[SINGLE])
    return _indexed(folder, INDEX, "safetensors", names) if INDEX in names else None


def _torch(folder: str, names: frozenset[str]) -> Layout | None:
    if PICKLED in names:
        return Layout(format="pickle", files=[PICKLED])
    return _indexed(folder, PICKLED_INDEX, "pickle", names) if PICKLED_INDEX in names else None


def _rest(names: frozenset[str]) -> Layout | None:
    kinds: tuple[tuple[Format, re.Pattern[str]], ...] = (("pickle", PICKLE), ("other", OTHER))
    found = ((kind, [name for name in names if pattern.fullmatch(name) and not TRAINING.fullmatch(name)]) for kind, pattern in kinds)
    rest = next((Layout(format=kind, files=files, several=len(files) > 1) for kind, files in found if files), None)
    return _unindexed(names, "pickle") if rest and rest.format == "pickle" and any(map(_shard_of_torch, rest.files)) else rest


def _shard_of_torch(name: str) -> bool:
    shard = SHARD.fullmatch(name)
    return bool(shard and shard[1] == "pytorch_model")


def _gguf(names: frozenset[str]) -> Layout | None:
    """One model, whole or split, and its projector; None where there is only what quantising leaves."""
    found = [match for match in map(GGUF.fullmatch, sorted(names)) if match and not IMATRIX.search(match[1])]
    sets = {(match[1], match[3]) for match in found}
    sees = {one for one in sets if PROJECTOR.search(one[0])}
    models = sets - sees or sees
    if not sets:
        return None
    if len(models) > 1 or len(sees) > 1:
        several = sorted({match[0] for match in found if match[2] in (None, "00001")})
        raise Unreadable(
            say("{count} GGUF files of different kinds, and nobody can say which is meant: {files}", count=len(several), files=_some(several))
        )
    files = [file for stem, total in sets for file in _split(stem, total, found)]
    return Layout(format="gguf", files=files)


def _split(stem: str, total: str | None, found: list[re.Match[str]]) -> list[str]:
    """All parts of a set, whether they are there or not."""
    there = {match[2]: match[0] for match in found if (match[1], match[3]) == (stem, total)}
    if total is None:
        return list(there.values())
    if int(total) > MOST_FILES or max(map(int, there)) > int(total) or min(map(int, there)) < 1:
        raise Unreadable(say("{file}: there can be no such set of files", file=shown(f"{stem}-NNNNN-of-{total}.gguf")))
    return [there.get(f"{number:05}", f"{stem}-{number:05}-of-{total}.gguf") for number in range(1, int(total) + 1)]


def _some(names: list[str]) -> str:
    """The first few by name, and that there are more."""
    return ", ".join([*map(shown, names[:MOST_NAMED]), *(["…"] if len(names) > MOST_NAMED else [])])


def _below(folder: str) -> list[str]:
    """Sub-folders with weights, nearest first: pipelines keep each model in one, and other repositories all in `ckpt`. Links are not followed."""
    found: list[str] = []
    level, left = [""], MOST_ENTRIES_BELOW
    for _ in range(DEEPEST_BELOW):
        inner: list[str] = []
        for above in level:
            with suppress(OSError), os.scandir(os.path.join(folder, above)) as entries:
                for entry in islice(entries, left):
                    left -= 1
                    if entry.is_dir(follow_symlinks=False):
                        inner += [] if entry.name.startswith(".") else [os.path.join(above, entry.name)]
                    elif above and above not in found and WEIGHTS.fullmatch(entry.name) and not TRAINING.fullmatch(entry.name):
                        found.append(above)
        level = sorted(inner)
    return sorted(found, key=lambda one: (one.count(os.sep), one))


def _indexed(folder: str, index: str, kind: Format, names: frozenset[str]) -> Layout:
    """By the index; where that is torn, by the names of the files, and the index is one of the torn."""
    try:
        promised = _promised(folder, index)
    except (Torn, Nothing) as error:  # Nothing: a link whose target was deleted
        pattern = PICKLE if kind == "pickle" else SHARD
        files = [name for name in names if pattern.fullmatch(name)]
        gone = isinstance(error, Nothing)
        return Layout(format=kind, files=files, missing=[index] if gone else [], torn=[] if gone else [str(error)])
    outside = sorted(name for name in promised if not _plain(name))
    return Layout(
        format=kind,
        files=[name for name in promised if _plain(name)],
        torn=[say("{file}: points outside the folder", file=shown(name)) for name in outside],
        tensors=promised,
    )


def _promised(folder: str, index: str) -> dict[str, list[str]]:
    """The tensors that the index puts in each file."""
    data = small(os.path.join(folder, index), index, LARGEST_INDEX)
    if data.count(b",") > MOST_TENSORS:
        raise Unreadable(say("{file}: names more than {limit} tensors", file=index, limit=MOST_TENSORS))
    content = parsed(data, index)
    weights = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or set(map(type, weights.values())) != {str}:
        raise Torn(say("{file}: no map from tensors to files", file=index))
    promised: dict[str, list[str]] = defaultdict(list)
    for tensor, file in weights.items():
        promised[file].append(tensor)
    if len(promised) > MOST_FILES:
        raise Unreadable(say("{file}: names {count} files, and the limit is {limit}", file=index, count=len(promised), limit=MOST_FILES))
    return dict(promised)


def _plain(name: str) -> bool:
    """Whether it names a file of the folder itself, on every system."""
    try:
        length = len(os.fsencode(name))
    except UnicodeEncodeError:
        return False
    return 0 < length <= 255 and name not in (".", "..") and not set(name) & set("/\\:\0")  # noqa: PLR2004  # of every usual file system


def _unindexed(names: frozenset[str], kind: Literal["safetensors", "pickle"]) -> Layout | None:
    """Shards whose index was not downloaded, or one file of another name than usual; None where there is neither."""
    end, stem = ("safetensors", "model") if kind == "safetensors" else ("bin", "pytorch_model")
    found = sorted(name for name in names if name.endswith(f".{end}"))
    shards = [match for match in map(SHARD.fullmatch, found) if match]
    sets = {(match[1], match[3]) for match in shards}
    usual = {one for one in sets if one[0] == stem} or sets
    if not sets and len(found) <= 1:
        return Layout(format=kind, files=found) if found else None
    if len(usual) != 1:
        raise Unreadable(say("{count} {kind} files and no index: which are the model's is unknown", count=len(found), kind=end))
    ((stem, total),) = usual
    numbers = {int(match[2]) for match in shards if (match[1], match[3]) == (stem, total)}
    begin = 0 if 0 in numbers else 1
    if int(total) > MOST_FILES or max(numbers) >= begin + int(total):
        raise Unreadable(say("{file}: there can be no such set of files", file=shown(f"{stem}-NNNNN-of-{total}.{end}")))
    files = [f"{stem}-{number:05}-of-{total}.{end}" for number in range(begin, begin + int(total))]
    return Layout(format=kind, files=files, missing=[f"{stem}.{end}.index.json"])
