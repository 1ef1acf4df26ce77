"""
The dtypes that the families of transformers take, measured: every type of model with a float input, tiny and with random weights.

`python -m benchmarks.families OUT.jsonl [TYPE ...]` writes one JSON object a type: which cells of the 3x3 of model and input dtype run,
what the input meets first, where it is cast or refused, and what loading in 16 bits leaves in float32. ivdoctor/tables/families.csv is made of it.
Every type has a process of its own: one that hangs or takes all memory is left out.
"""

import contextlib
import inspect
import json
import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
warnings.filterwarnings("ignore")

import torch  # noqa: E402  # after the switches above
import transformers  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402
from transformers.models.auto import modeling_auto  # noqa: E402
from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: E402

from benchmarks.tiny_configs import small  # noqa: E402
from benchmarks.tiny_inputs import FLOATS, float_inputs, token_inputs  # noqa: E402

FORMATS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
HEADS = (
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
    "MODEL_FOR_CTC_MAPPING_NAMES",
    "MODEL_MAPPING_NAMES",
)
"""Where a type's class is looked up: the first that runs."""

LARGEST = 450_000_000
"""Parameters of a model that is built."""

PATIENCE = 60
"""Seconds for a type."""

SCALARS = 8
"""Elements of a tensor that is a constant rather than a weight."""


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch types its modes in part
    """Follows the input: what it is cast by and where, and the first operation in which it meets a weight."""

    def __init__(self, given: torch.Tensor, where: Callable[[], str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tainted = {id(given)}
        self.kept: list[Any] = [given]
        self.where = where
        self.first = ""
        self.cast = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run it; remember what came of the input."""
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        ours = [one for one in tensors if id(one) in self.tainted]
        others = [one for one in tensors if id(one) not in self.tainted and one.is_floating_point() and one.numel() > SCALARS]
        if ours and others and not self.first and "detach" not in str(func):
            self.first = f"{self.where()} [{func}]"
        done = func(*args, **(kwargs or {}))
        if ours:
            results = [one for one in tree_leaves(done) if isinstance(one, torch.Tensor)]
            if not self.first and any(one.is_floating_point() and one.dtype != ours[0].dtype and ours[0].is_floating_point() for one in results):
                self.cast = self.cast or site(traceback.extract_stack())
            self.kept += results
            self.tainted |= {id(one) for one in results}
        return done


def site(frames: Any) -> str:
    """`modeling_clip.py:120`, the innermost line of a model's own file."""
    found = [frame for frame in frames if "/transformers/models/" in frame.filename]
    return f"{os.path.basename(found[-1].filename)}:{found[-1].lineno}" if found else ""


class Stack:
    """The modules that are running, by name."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.names = {id(module): name for name, module in model.named_modules()}
        self.running: list[torch.nn.Module] = []
        pre = torch.nn.modules.module.register_module_forward_pre_hook(lambda module, _args: self.running.append(module))
        post = torch.nn.modules.module.register_module_forward_hook(self.left)
        self.handles = (pre, post)

    def left(self, _module: torch.nn.Module, _args: Any, _result: Any) -> None:
        """One came to its end."""
        if self.running:
            self.running.pop()

    def __call__(self) -> str:
        """`vision_model.embeddings.patch_embedding (Conv2d without bias)`."""
        if not self.running:
            return ""
        module = self.running[-1]
        bias = getattr(module, "bias", "?")
        kind = type(module).__name__
        if kind.startswith(("Conv", "Linear")):
            kind += " without bias" if bias is None else " with bias"
        return f"{self.names.get(id(module), '?')} ({kind})"

    def close(self) -> None:
        """The hooks are global."""
        for handle in self.handles:
            handle.remove()


def classes(model_type: str) -> list[Any]:
    """The classes of a type, each once."""
    names: list[str] = []
    for mapping in HEADS:
        value = getattr(modeling_auto, mapping).get(model_type, ())
        names += [value] if isinstance(value, str) else list(value)
    return [getattr(transformers, name) for name in dict.fromkeys(names)]


def run(model: Any, inputs: dict[str, Any], floating: str, dtype: torch.dtype) -> dict[str, str]:
    """One cell: what it raised, and where; nothing where it ran."""
    given = {key: value.to(dtype) if key == floating else value for key, value in inputs.items()}
    stack = Stack(model)
    try:
        with torch.no_grad():
            model(**given)
    except Exception as error:  # noqa: BLE001  # whatever it raises is the result
        return {"error": f"{type(error).__name__}: {str(error)[:300]}", "site": site(traceback.extract_tb(error.__traceback__)), "module": stack()}
    finally:
        stack.close()
    return {}


def watched(model: Any, inputs: dict[str, Any], floating: str, dtype: torch.dtype) -> dict[str, str]:
    """What the input met first, and where it was cast before; a mode may change what an operator raises, so the cells are run without."""
    given = {key: value.to(dtype) if key == floating else value for key, value in inputs.items()}
    stack = Stack(model)
    watch = Watch(given[floating], stack)
    try:
        with torch.no_grad(), watch, contextlib.suppress(RuntimeError, ValueError):
            model(**given)
    finally:
        stack.close()
    return {"first": watch.first, "cast": watch.cast}


def kept(cls: Any, config: Any, weights: dict[str, Any], dtype: torch.dtype) -> tuple[Any, list[str]]:
    """The model as `from_pretrained` loads it, and what it left in float32."""
    model = cls.from_pretrained(None, config=config, state_dict=dict(weights), dtype=dtype).eval()
    names = [name for name, one in (*model.named_parameters(), *model.named_buffers()) if one.dtype == torch.float32]
    return model, sorted({".".join(part for part in name.split(".") if not part.isdigit()) for name in names})


def built(model_type: str) -> Iterator[tuple[Any, Any, Any]]:
    """Class, configuration and model, from the smallest that its family's invariants may allow."""
    able = [cls for cls in classes(model_type) if set(FLOATS) & set(inspect.signature(cls.forward).parameters)]
    plain = CONFIG_MAPPING[model_type]().to_dict() if able else {}
    for level in ("tiny", "narrow", "thin"):
        for cls in able:
            try:
                config = CONFIG_MAPPING[model_type].from_dict(small(model_type, plain, level))
                with torch.device("meta"):
                    size = sum(one.numel() for one in cls(config).parameters())
                torch.manual_seed(0)
                model = cls(config).eval() if size <= LARGEST else None
            except Exception as error:  # noqa: BLE001  # the next one
                print(f"{model_type} {cls.__name__} {level}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
                continue
            if model is not None:
                yield cls, config, model


def measured(model_type: str) -> dict[str, Any]:
    """Everything of one type; the reason where it could not be run."""
    reasons: list[str] = []
    for cls, config, model in built(model_type):
        takes = set(inspect.signature(cls.forward).parameters)
        for floating in (name for name in FLOATS if name in takes):
            for floats in float_inputs(floating, config, takes):
                for tokens in token_inputs(model, config, floats, takes):
                    inputs = {**floats, **tokens}
                    seen = run(model, inputs, floating, torch.float32)
                    first = "" if seen else watched(model, inputs, floating, torch.float32)["first"]
                    if first:
                        return found((cls, config, model), inputs, floating, first)
                    reasons.append(
                        f"{cls.__name__} {list(floats[floating].shape)} {sorted(tokens)}: {seen.get('error', 'the input met no weight')}"[:260]
                    )
    return {"model_type": model_type, "failed": [*reasons[:8], *reasons[-8:]]}


def found(built: tuple[Any, Any, Any], inputs: dict[str, Any], floating: str, first: str) -> dict[str, Any]:
    """The 3x3, cast by `.to()`, and as loaded in 16 bits."""
    cls, config, model = built
    row: dict[str, Any] = {"model_type": config.model_type, "class": cls.__name__, "input": floating, "first_op": first, "cells": {}, "loaded": {}}
    row["shape"] = list(inputs[floating].shape)
    row["parameters"] = sum(one.numel() for one in model.parameters())
    row["attributes"] = {"plain": sorted(cls._keep_in_fp32_modules or []), "strict": sorted(cls._keep_in_fp32_modules_strict or [])}
    weights = {name: one.clone() for name, one in model.state_dict().items()}
    for name, dtype in FORMATS.items():
        model.to(dtype)  # of random weights: what is rounded twice does not matter
        for other, given in FORMATS.items():
            row["cells"][f"{name}/{other}"] = run(model, inputs, floating, given)
        if name == "bf16":
            row["cast"] = watched(model, inputs, floating, torch.float32)["cast"]
    row["kept"] = {}
    for name in ("fp16", "bf16"):
        try:
            loaded, row["kept"][name] = kept(cls, config, weights, FORMATS[name])
        except Exception as error:  # noqa: BLE001  # it is told
            row["kept"][name] = f"{type(error).__name__}: {str(error)[:200]}"
            continue
        row["loaded"][name] = run(loaded, inputs, floating, FORMATS[name])
    return row


def child(model_type: str, path: str) -> None:
    """In a process of its own."""
    torch.set_num_threads(1)
    try:
        row = measured(model_type)
    except Exception as error:  # noqa: BLE001  # it is told
        row = {"model_type": model_type, "failed": [f"{type(error).__name__}: {error}"[:300]]}
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def main() -> None:
    """One type after the other."""
    path, *wanted = sys.argv[1:]
    context = multiprocessing.get_context("fork")
    for model_type in wanted or list(modeling_auto.MODEL_MAPPING_NAMES):
        process = context.Process(target=child, args=(model_type, path))
        process.start()
        process.join(PATIENCE)
        if process.is_alive():
            process.terminate()
            process.join()
            print(model_type, "took too long", file=sys.stderr)


if __name__ == "__main__":
    main()
