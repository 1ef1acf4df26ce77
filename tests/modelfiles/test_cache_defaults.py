"""Heads that configurations leave out: the table beside the classes of transformers."""

import pytest

from ivdoctor.modelfiles.cache_defaults import DEFAULTS, defaults_of


def test_what_a_configuration_leaves_out_is_as_transformers_has_it() -> None:
    """Every family of the table, by the fields of its own class."""
    transformers = pytest.importorskip("transformers", minversion="5.23")
    for family, known in DEFAULTS.items():
        fields = transformers.CONFIG_MAPPING[family].__dataclass_fields__
        said = (fields[name].default if name in fields else None for name in ("num_key_value_heads", "head_dim"))
        assert known == tuple(value if isinstance(value, int) else 0 for value in said), family


def test_an_older_configuration_has_its_parts_defaults() -> None:
    """Before its parts had types of their own it was flat, and its type was the whole's."""
    assert defaults_of("qwen2_5_vl") == defaults_of("qwen2_5_vl_text") == (8, 0)
    assert defaults_of("nothing_known") == (0, 0)
