"""Sentences in the user's language."""

import gettext
from pathlib import Path

import pytest

from ivdoctor import text


def test_fields_are_filled() -> None:
    """By name."""
    assert text.say("{dtype} on {place}", place="cpu", dtype="fp16") == "fp16 on cpu"


def test_braces_in_a_field_stay() -> None:
    """What others wrote is no template."""
    assert text.say("{left} and {right}", left="{x}", right="{}") == "{x} and {}"


def test_plural_forms() -> None:
    """One, and all other numbers."""
    assert [text.count("{number} note", "{number} notes", number) for number in range(3)] == ["0 notes", "1 note", "2 notes"]


class Chinese(gettext.NullTranslations):
    """A catalogue of one sentence, whose order of fields is another."""

    def gettext(self, message: str) -> str:
        return {"{dtype} on {place}": "{place} 上的 {dtype}"}.get(message, message)


def test_a_catalogue_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields keep their names, whatever their order."""
    monkeypatch.setattr(text, "_catalogue", Chinese)

    assert text.say("{dtype} on {place}", dtype="bf16", place="cpu") == "cpu 上的 bf16"


def test_the_catalogue_is_looked_for_in_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ivdoctor/locale`, by the usual variables; none is no failure."""
    monkeypatch.setenv("LANGUAGE", "zh_CN")
    text._catalogue.cache_clear()
    try:
        assert text.say("as it is") == "as it is"
    finally:
        text._catalogue.cache_clear()
    assert Path(text.__file__).with_name("locale").name == "locale"


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0.00295, 1.0, "0.3%"),
        (0.44, 1.0, "44.0%"),
        (0.001, 1.0, "0.1%"),
        (4.9e-5, 1.0, "less than 0.1%"),
        (0.0, 1.0, "less than 0.1%"),
        (1.6, 1.0, "160.0%"),
        (99996, 100000, "99.9%"),
        (7, 7, "100.0%"),
    ],
)
def test_a_small_part_is_not_said_to_be_none_nor_a_large_one_all(part: float, whole: float, said: str) -> None:
    """`0.0%` and `100.0%` would be no numbers."""
    assert text.share(part, whole) == said
