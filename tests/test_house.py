"""The house rules that no other tool checks."""

import ast
import re
import statistics
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ivdoctor"
MODULES = sorted(PACKAGE.rglob("*.py"))


def test_modules_are_small() -> None:
    """The median has at most 120 lines, and none more than 400."""
    lines = {module: len(module.read_text().splitlines()) for module in MODULES}

    assert statistics.median(lines.values()) <= 120
    assert [str(module) for module, count in lines.items() if count > 400] == []


def test_trials_are_made_in_trials_alone() -> None:
    """Verification is a fact: nobody else constructs one, but the miniature of the user's architecture, and the public helpers for tests."""
    makers = {
        module.relative_to(PACKAGE).as_posix()
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Trial"
    }

    assert {"flow/miniature_remedies.py", "trials/misuse.py", "trials/proof.py", "trials/reproduction.py"} == {
        one for one in makers if not one.startswith("testing")
    }


TEMPLATES = [
    (module.relative_to(PACKAGE).as_posix(), node)
    for module in MODULES
    for node in ast.walk(ast.parse(module.read_text()))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say"
]


@pytest.mark.parametrize(("module", "call"), TEMPLATES, ids=[f"{module}:{node.lineno}" for module, node in TEMPLATES])
def test_sentences_are_templates_with_named_fields(module: str, call: ast.Call) -> None:
    """A catalogue can be made of them: literal (or a module's constant), every field named and given."""
    (template,) = call.args
    if isinstance(template, ast.Name):
        assert template.id.isupper()
        return
    assert isinstance(template, ast.Constant)
    assert isinstance(template.value, str)
    fields = set(re.findall(r"\{([^}!:]*)[^}]*\}", template.value))
    assert fields == {keyword.arg for keyword in call.keywords}


def test_unpickling_and_shells_are_nowhere() -> None:
    """Neither pickle nor a shell in the package; `eval` only as the method of a module."""
    source = "\n".join(module.read_text() for module in MODULES)

    assert not re.search(r"\b(?:import|from) (?:pickle|marshal|shelve)\b|\b(?:pickle|marshal|shelve)\.", source)
    assert "shell=True" not in source
    assert not re.search(r"(?<![.\w])(eval|exec)\(", source)
