"""
Damaged model files by the hundred thousand: whatever they hold, they are read or refused in one line, soon and in little memory.

`python benchmarks/fuzz_headers.py [COUNT] [SEED]` changes sound configurations, safetensors headers, indexes, GGUF files and archives of
torch.save, by bytes and by structure. The exit code is 1 where anything but Unreadable comes out, takes a second, or grows large.
"""

import json
import os
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from ivdoctor.facts import Asked
from ivdoctor.modelfiles import Unreadable, read_checkpoint, read_config
from ivdoctor.probe import Absent
from ivdoctor.probes.model import model
from ivdoctor.testing import a_safetensors_file

SLOW, LARGE = 1.0, 256
"""Seconds of CPU for one input, and MiB at the peak of the whole run."""

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, 2**31, 2**63, 2**64, 10**400, -(2**63), float("nan"), float("inf"), "", "a", "../x", "\ud800", "\0"),
    *([], {}, [[]], [{}], [0] * 9, {"": 0}, "F32", "bits", "float16", "9" * 5000),
)
"""What stands where something else should."""

BYTES = (
    b"",
    b"\0",
    b"\xff",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"9" * 5000,
    b"[" * 2000,
    b"NaN",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\n",
)


def config() -> dict[str, Any]:
    """Of a model with everything in it that is looked at."""
    text = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100}
    rope = {
        "rope_theta": 1e4,
        "rope_scaling": {"type": "yarn", "factor": 4.0},
        "layer_types": ["full_attention", "sliding_attention"],
        "sliding_window": 8,
    }
    groups = {"group_0": {"weights": {"num_bits": 4, "group_size": 32, "type": "int", "strategy": "group"}, "targets": ["Linear"]}}
    quantised = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups, "ignore": ["lm_head", "re:.*gate"]}
    experts = {"n_routed_experts": 8, "num_experts_per_tok": 2, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "dtype": "bfloat16",
        "auto_map": {"AutoModel": "modeling_x.X"},
        "text_config": {**text, **rope, **experts},
        "vision_config": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "torch_dtype": "float16"},
        "quantization_config": quantised,
        "tie_word_embeddings": False,
    }


def changed(value: Any, rng: random.Random) -> Any:
    """The same structure with one thing in it that does not belong there, or a part that is gone or twice."""
    if isinstance(value, dict) and value and rng.random() < 0.9:  # noqa: PLR2004  # nearly always deeper
        key = rng.choice(list(value))
        other = dict(value)
        kind = rng.random()
        if kind < 0.1:  # noqa: PLR2004
            del other[key]
        elif kind < 0.2:  # noqa: PLR2004
            other[str(rng.choice(HOSTILE))[:50]] = other.pop(key)
        else:
            other[key] = changed(value[key], rng)
        return other
    if isinstance(value, list) and value and rng.random() < 0.7:  # noqa: PLR2004
        at = rng.randrange(len(value))
        return [*value[:at], changed(value[at], rng), *value[at + rng.randrange(2) :]]
    return rng.choice(HOSTILE)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, cut out, repeated or put in."""
    content = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            content[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del content[at : at + rng.choice((1, 2, 8, 64))]
        elif kind == 2:  # noqa: PLR2004
            content[at:at] = content[at : at + rng.choice((1, 8, 64))]
        elif kind == 3:  # noqa: PLR2004
            content[at:at] = rng.choice(BYTES)
        elif kind == 4:  # noqa: PLR2004
            content[at : at + 8] = struct.pack("<Q", rng.choice((0, 1, 7, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1)))
        else:
            del content[at:]
    return bytes(content)


def structure(text: Any, rng: random.Random) -> bytes:
    """JSON of something changed once or twice."""
    for _ in range(rng.randint(1, 3)):
        text = changed(text, rng)
    return json.dumps(text).encode(errors="surrogatepass")


TENSORS = {
    "l.weight_packed": ("I32", (8, 4)),
    "l.weight_scale": ("BF16", (8, 1)),
    "l.weight_shape": ("I64", (2,)),
    "m.weight": ("F8_E4M3", (8, 8)),
    "m.weight_scale_inv": ("F32", (1, 1)),
    "n.qweight": ("I32", (8, 1)),
    "n.qzeros": ("I32", (1, 1)),
    "n.scales": ("F16", (1, 8)),
    "norm.weight": ("BF16", (8,)),
}
SAFE = a_safetensors_file(TENSORS)


def safetensors(rng: random.Random) -> dict[str, bytes]:
    """A file whose header, or any byte, is changed."""
    if rng.random() < 0.5:  # noqa: PLR2004
        return {"model.safetensors": damaged(SAFE, rng)}
    length = int.from_bytes(SAFE[:8], "little")
    text = structure(json.loads(SAFE[8 : 8 + length]), rng)
    return {"model.safetensors": struct.pack("<Q", len(text)) + text + SAFE[8 + length :]}


def index(rng: random.Random) -> dict[str, bytes]:
    """Two shards, and the map from tensors to them changed."""
    files = {f"model-0000{number}-of-00002.safetensors": a_safetensors_file({f"t{number}": ("BF16", (2, 2))}) for number in (1, 2)}
    content = {"metadata": {"total_size": 16}, "weight_map": {f"t{number}": name for number, name in enumerate(files, 1)}}
    whole = json.dumps(content).encode()
    return {**files, "model.safetensors.index.json": structure(content, rng) if rng.random() < 0.5 else damaged(whole, rng)}  # noqa: PLR2004


def configuration(rng: random.Random) -> dict[str, bytes]:
    """Beside weights that ask for its bits."""
    whole = json.dumps(config(), indent=1).encode()
    return {"config.json": structure(config(), rng) if rng.random() < 0.7 else damaged(whole, rng), "model.safetensors": SAFE}  # noqa: PLR2004


def gguf_file() -> bytes:
    """Of version 3: texts, numbers and arrays, and three tensors."""

    def text(one: str) -> bytes:
        return struct.pack("<Q", len(one)) + one.encode()

    values = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("llama.block_count") + struct.pack("<II", 4, 2),
        text("llama.rope.freq_base") + struct.pack("<If", 6, 1e4),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("b") + text("c"),
        text("tokenizer.ggml.scores") + struct.pack("<IIQ3f", 9, 6, 3, 0, 0, 0),
    ]
    tensors = [("token_embd.weight", 2, 64, 0), ("blk.0.attn_q.weight", 12, 256, 64), ("norm.weight", 0, 8, 224)]
    front = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(values)) + b"".join(values)
    front += b"".join(text(name) + struct.pack("<IQIQ", 1, count, kind, at) for name, kind, count, at in tensors)
    return front + bytes(-len(front) % 32) + bytes(256)


GGUF = gguf_file()


def gguf(rng: random.Random) -> dict[str, bytes]:
    """A GGUF file with bytes changed."""
    return {"model.gguf": damaged(GGUF, rng)}


STATE = (
    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00aq\x02ctorch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04"
    b"ctorch\nFloatStorage\nq\x05X\x01\x00\x00\x000q\x06X\x03\x00\x00\x00cpuq\x07K\x04tq\x08QK\x00K\x02K\x02\x86q\tK\x02K\x01\x86q\n\x89h\x00)Rq\x0btq\x0c"
    b"Rq\rs."
)
"""What torch.save 2.13 writes for one tensor of 2 by 2 in an ordered dictionary."""


def archive(pickle: bytes) -> bytes:
    """As torch.save lays it out."""
    out = BytesIO()
    with ZipFile(out, "w") as whole:
        for name, data in (("data.pkl", pickle), ("byteorder", b"little"), ("data/0", bytes(16)), ("version", b"3\n")):
            whole.writestr(f"archive/{name}", data)
    return out.getvalue()


WHOLE = archive(STATE)


def pickled(rng: random.Random) -> dict[str, bytes]:
    """The archive's bytes changed, or those of the pickle in it."""
    return {"pytorch_model.bin": damaged(WHOLE, rng) if rng.random() < 0.5 else archive(damaged(STATE, rng))}  # noqa: PLR2004


KINDS: tuple[Callable[[random.Random], dict[str, bytes]], ...] = (configuration, safetensors, index, gguf, pickled)


SOUND = (
    {"config.json": json.dumps(config()).encode(), "model.safetensors": SAFE},
    {"model.safetensors": SAFE},
    {"model.gguf": GGUF},
    {"pytorch_model.bin": WHOLE},
)
"""What the changes begin with, which must be read."""


def look(folder: str) -> str:
    """All readers over one folder; what they make of its configuration, or else of its weights."""
    found = []
    for reader in (read_checkpoint, read_config, lambda path: model(asked=Asked(model=path))):
        try:
            one = reader(folder)
            found.append("torn" if getattr(one, "torn", ()) else "read")
        except (Unreadable, Absent) as error:
            line = str(error)
            assert line.isprintable(), line
            assert len(line) < 1000, line  # noqa: PLR2004
            found.append("refused")
    return found[os.path.exists(os.path.join(folder, "config.json"))]


def tried(kind: Callable[[random.Random], dict[str, bytes]], seed: str, folder: Path) -> tuple[str, float]:
    """One input, written, looked at and taken away; the outcome and seconds of CPU."""
    files = kind(random.Random(seed))  # noqa: S311  # no secret
    for name, content in files.items():
        (folder / name).write_bytes(content)
    began = time.process_time()
    try:
        outcome = look(str(folder))
    except Exception:  # noqa: BLE001  # that is what is looked for
        outcome = "wrong"
        print(f"{kind.__name__} {seed}\n{traceback.format_exc(limit=-4)}", file=sys.stderr)
    spent = time.process_time() - began
    for name in files:
        (folder / name).unlink()
    return outcome, spent


def main() -> int:
    """As many of each kind; everything that went wrong is printed with its seed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = sys.argv[2] if len(sys.argv) > 2 else "0"  # noqa: PLR2004
    outcomes: Counter[tuple[str, str]] = Counter()
    slowest, wrong = {kind.__name__: 0.0 for kind in KINDS}, 0
    with tempfile.TemporaryDirectory() as name:
        for files in SOUND:
            assert tried(lambda _, files=files: files, "", Path(name))[0] == "read", files  # type: ignore[misc]
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            outcome, spent = tried(kind, f"{seed}:{number}", Path(name))
            outcomes[kind.__name__, outcome] += 1
            slowest[kind.__name__] = max(slowest[kind.__name__], spent)
            wrong += outcome == "wrong" or spent > SLOW
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for kind in KINDS:
        said = ", ".join(f"{outcome} {number}" for (name, outcome), number in sorted(outcomes.items()) if name == kind.__name__)
        print(f"{kind.__name__:14} {said}; slowest {slowest[kind.__name__] * 1000:.0f} ms")
    print(f"{count} inputs, seed {seed}: {wrong} wrong or slow; peak {peak:.0f} MiB (bound {LARGE})")
    return int(wrong > 0 or peak > LARGE)


if __name__ == "__main__":
    sys.exit(main())
