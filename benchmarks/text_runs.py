"""
The formats in which the language models of transformers run, measured: every type that takes nothing but ids, tiny and with random weights.

`python -m benchmarks.text_runs OUT.csv [TYPE ...]` writes ivdoctor/tables/text_runs.csv. Each model is loaded as `from_pretrained(dtype=)` does it, run on the CPU,
and a decoder takes one more step with its cache. Every type has a process of its own: one that hangs or takes all memory has no row.
"""

import contextlib
import csv
import inspect
import multiprocessing
import os
import sys
import time
import warnings
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
warnings.filterwarnings("ignore")

import torch  # noqa: E402  # after the switches above
import transformers  # noqa: E402
from transformers.models.auto import modeling_auto  # noqa: E402
from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: E402

from benchmarks.tiny_configs import small  # noqa: E402
from benchmarks.tiny_inputs import FLOATS  # noqa: E402

FORMATS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
HEADS = (
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "MODEL_MAPPING_NAMES",
)
"""Where a type's class is looked up: the first that runs."""

LARGEST = 450_000_000
"""Parameters of a model that is built."""

PATIENCE = 60
"""Seconds for a type."""

COLUMNS = ("model_type", "class", "fp32", "fp16", "bf16", "transformers", "source", "date")


def classes(model_type: str) -> list[Any]:
    """Those that take ids and nothing that floats but what they compute themselves."""
    names = [value for mapping in HEADS if (value := getattr(modeling_auto, mapping).get(model_type))]
    flat = [name for value in names for name in ([value] if isinstance(value, str) else value)]
    found = []
    for name in dict.fromkeys(flat):
        with contextlib.suppress(ImportError, AttributeError):  # it wants another library
            takes = set(inspect.signature(getattr(transformers, name).forward).parameters)
            found += [getattr(transformers, name)] if "input_ids" in takes and not set(FLOATS) & takes else []
    return found


def built(model_type: str) -> tuple[Any, Any, dict[str, Any]] | None:
    """Class, configuration and weights of the smallest that runs in float32."""
    plain = CONFIG_MAPPING[model_type]().to_dict()
    for level in ("tiny", "narrow", "thin"):
        for cls in classes(model_type):
            try:
                config = CONFIG_MAPPING[model_type].from_dict(small(model_type, plain, level))
                with torch.device("meta"):
                    size = sum(one.numel() for one in cls(config).parameters())
                if size > LARGEST:
                    continue
                torch.manual_seed(0)
                model = cls(config).eval()
                step(model, config)
            except Exception as error:  # noqa: BLE001  # the next one
                print(f"{model_type} {cls.__name__} {level}: {type(error).__name__}: {str(error)[:160]}", file=sys.stderr)
                continue
            return cls, config, {name: one.clone() for name, one in model.state_dict().items()}
    return None


def step(model: Any, config: Any) -> None:
    """Two sequences of seven ids, and one more id with the cache where there is one; raises what the model raises."""
    ids = torch.arange(4, 18).reshape(2, 7) % min(getattr(config.get_text_config(), "vocab_size", 64) or 64, 64)
    more = {"decoder_input_ids": ids[:, :3]} if getattr(config, "is_encoder_decoder", False) else {}
    with torch.no_grad():
        done = model(input_ids=ids, **more)
        cache = getattr(done, "past_key_values", None)
        if cache is not None and not more:
            model(input_ids=ids[:, :1], past_key_values=cache, use_cache=True)
    floats = [one for one in done.values() if isinstance(one, torch.Tensor) and one.is_floating_point()]
    if not floats:
        raise ValueError("it gave no tensor that floats")


def measured(model_type: str) -> dict[str, str]:
    """The row, empty where it could not be built."""
    found = built(model_type)
    if found is None:
        return {}
    cls, config, weights = found
    row = {"model_type": model_type, "class": cls.__name__}
    for name, dtype in FORMATS.items():
        try:
            step(cls.from_pretrained(None, config=config, state_dict=dict(weights), dtype=dtype).eval(), config)
            row[name] = "ran"
        except Exception as error:  # noqa: BLE001  # whatever it raises is the result
            row[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    if row["fp32"] != "ran":
        return {}  # what fails in any format is no matter of dtype
    row["transformers"] = transformers.__version__
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    row["source"] = f"measured: {versions}, benchmarks/text_runs.py, on a tiny random model"
    return row | {"date": time.strftime("%Y-%m-%d")}


def child(model_type: str, pipe: Any) -> None:
    """In a process of its own."""
    torch.set_num_threads(1)
    try:
        pipe.send(measured(model_type))
    except Exception as error:  # noqa: BLE001  # it is told
        print(f"{model_type}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
        pipe.send({})


def main() -> None:
    """One type after the other."""
    path, *wanted = sys.argv[1:]
    context = multiprocessing.get_context("fork")
    mappings = [getattr(modeling_auto, mapping) for mapping in HEADS]
    types = wanted or sorted({name for mapping in mappings for name in mapping if name in CONFIG_MAPPING})
    rows = []
    for model_type in types:
        if not classes(model_type):
            continue
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=child, args=(model_type, theirs))
        process.start()
        theirs.close()
        row: dict[str, str] = {}
        with contextlib.suppress(EOFError):  # it was killed for memory
            row = ours.recv() if ours.poll(PATIENCE) else {}
        process.kill()
        process.join()
        rows += [row] if row else []
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["model_type"]))


if __name__ == "__main__":
    main()
