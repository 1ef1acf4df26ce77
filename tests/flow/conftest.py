"""Repositories with code of their own, made on the spot."""

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest

from ivdoctor.facts import release

try:
    import torch
except ImportError:
    collect_ignore_glob = ["test_*.py"]
else:
    collect_ignore_glob = ["test_*.py"] if release(torch.__version__) < (2, 4) else []  # whole.OLDEST says why

CONFIGURATION = """
from transformers import PretrainedConfig

class OwnConfig(PretrainedConfig):
    model_type = "ivdoctor_own"

    def __init__(self, hidden_size=32, image_size=28, patch_size=14, num_hidden_layers=2, **more):
        super().__init__(**more)
        self.hidden_size, self.image_size, self.patch_size = hidden_size, image_size, patch_size
        self.num_hidden_layers = num_hidden_layers
"""

MODELLING = """
import os
import torch
from torch import nn
from transformers import PreTrainedModel
from .configuration_own import OwnConfig

class OwnModel(PreTrainedModel):
    config_class = OwnConfig
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        self.patch_embedding = nn.Conv2d(3, config.hidden_size, config.patch_size, config.patch_size)
        self.head = nn.Linear(config.hidden_size, 8)
{init}
        self.post_init()

    def forward(self, {takes}):
        hidden = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
{body}
        return self.head(hidden)
"""

Repository = Callable[..., Path]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A folder with a `config.json` and the code of one model, whose patch convolution does not cast its input."""

    def made(body: str = "", init: str = "", takes: str = "pixel_values", **config: object) -> Path:
        folder = tmp_path / "own-model"
        folder.mkdir()
        names = {"AutoConfig": "configuration_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"}
        plain = {"model_type": "ivdoctor_own", "architectures": ["OwnModel"], "auto_map": names, "torch_dtype": "bfloat16"}
        (folder / "config.json").write_text(json.dumps(plain | config))
        (folder / "configuration_own.py").write_text(CONFIGURATION)
        text = MODELLING.format(body=indent(dedent(body), " " * 8), init=indent(dedent(init), " " * 8), takes=takes)
        (folder / "modeling_own.py").write_text(text)
        return folder

    return made
