"""The snapshot file: a round trip, and what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivdoctor.codec import Malformed
from ivdoctor.plugins import plugins
from ivdoctor.snapshot import Snapshot, load

CPU = (Path(__file__).parent / "machines" / "cpu.json").read_text()


def test_round_trip() -> None:
    """Written and read again it is equal."""
    snapshot = load(CPU, plugins().facts())

    assert snapshot == load(snapshot.dump(), plugins().facts())


def test_personal_things_are_taken_out_on_reading_too() -> None:
    """A snapshot made by hand may hold them."""
    raw = json.loads(CPU)
    raw["outcomes"][0]["reason"] = "seen at /home/jane with hf_abcdefghijklmnop"

    snapshot = load(json.dumps(raw), plugins().facts())

    assert snapshot.outcomes[0].reason == "seen at ~ with <secret>"


@settings(max_examples=200)
@given(cut=st.integers(0, len(CPU) - 2))
def test_a_torn_file_is_refused(cut: int) -> None:
    """Wherever it was cut."""
    with pytest.raises(Malformed):
        load(CPU[:cut], plugins().facts())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["subject", "status", "fact", "reason", "schema", "outcomes", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(raw=JSON, outcomes=st.lists(JSON, max_size=3))
def test_any_json_is_read_or_refused(raw: object, outcomes: list[object]) -> None:
    """Malformed and nothing else, also behind the right schema."""
    for value in (raw, {"schema": "ivdoctor.snapshot/1", "collected": "2026-11-23", "outcomes": outcomes}):
        try:
            assert isinstance(load(json.dumps(value), plugins().facts()), Snapshot)
        except Malformed:
            continue


@given(noise=st.binary(max_size=100))
def test_any_bytes_are_refused(noise: bytes) -> None:
    """Malformed and nothing else."""
    with pytest.raises(Malformed):
        load(noise, plugins().facts())
