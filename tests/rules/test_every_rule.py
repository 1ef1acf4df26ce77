"""What holds for every rule that ivdoctor brings: it is tested both ways, documented, named, and its category exists."""

import ast
import dataclasses
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pytest

from ivdoctor import __version__, rules
from ivdoctor.explanation import explain, read
from ivdoctor.facts import Failure, release
from ivdoctor.finding import ACTIONS, Finding, Fix
from ivdoctor.plugins import plugins
from ivdoctor.rule import Rule
from ivdoctor.tables import table

RULES = [rule for rule in plugins().rules if rule.builtin]

CATEGORIES = frozenset(
    {
        "conv-input-param-dtype-mismatch",
        "matmul-dtype-mismatch",
        "attention-qkv-dtype-mismatch",
        "index-write-dtype-mismatch",
        "norm-dtype-mismatch",
        "peft-kbit-dtype-mismatch",
        "silent-wrong-dtype",
        "cpu-half-op-unsupported",
        "bf16-op-unsupported",
        "half-op-unsupported-fft",
        "numpy-bf16-unsupported",
        "flash-attn-needs-half",
        "flash-attn-needs-ampere",
        "bf16-unsupported-gpu",
        "bf16-gemm-unsupported-gpu",
        "triton-bf16-needs-sm80",
        "fp8-unsupported-gpu",
        "fp8-dtype-mismatch",
        "quant-unsupported-gpu",
        "fp16-overflow",
        "mps-dtype-unsupported",
        "amp-gradscaler-misuse",
        "fsdp-uniform-dtype",
        "distributed-dtype-mismatch",
        "cuda-arch-mismatch",
        "neg-device-mismatch",
        "neg-shape-mismatch",
        "neg-integer-dtype",
        "neg-oom",
        "neg-missing-package",
        "neg-remote-code-config",
        "neg-driver-runtime",
        "neg-nonprecision-nan",
        "operand-dtype-mismatch",
        "op-dtype-unsupported",
        "quant-kernel-dtype",
        "constant-overflow",
        "neg-missing-dtype",
        "neg-missing-feature",
        "neg-index-out-of-range",
        "neg-other",
    }
)
"""The kinds of failure that public reports fall into, and those that torch's own messages add; a finding about a failure names one of them."""

READERS = [rule for rule in RULES if rule.asks_for(Failure)]
"""Rules about a failure that was read from a text."""

EXAMPLES = table("message_examples")
FAMILIES = {row["family"] for row in table("messages")}


def modules() -> Iterator[ModuleType]:
    """The modules that hold rules."""
    for path in sorted(Path(rules.__path__[0]).glob("ivd*.py")):
        yield importlib.import_module(f"ivdoctor.rules.{path.stem}")


def both_ways(kind: str) -> Counter[str]:
    """
    How many test functions of this folder say in their name that a code fires, or is silent, and use that rule in their body.

    `test_ivd101_fires_…` counts for IVD101 only where `cpu_build_beside_a_gpu` is handed to something.
    """
    names = {rule.code.lower(): rule.check.__name__ for rule in RULES}
    count: Counter[str] = Counter()
    for path in Path(__file__).parent.glob("test_*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
                used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
                for code in re.findall(r"ivd\d{3}", function.name):
                    if f"_{kind}" in function.name and names.get(code) in used:
                        count[code.upper()] += 1
    return count


@pytest.mark.parametrize("kind", ["fires", "silent"])
def test_every_rule_has_a_test_in_which_it_fires_and_one_in_which_it_is_silent(kind: str) -> None:
    """Found by name: `test_ivdNNN_fires…`, `test_ivdNNN_silent…`, with the rule itself in the body."""
    count = both_ways(kind)
    assert [rule.code for rule in RULES if not count[rule.code]] == []


def test_every_rule_in_the_folder_is_registered_under_a_code_of_its_own() -> None:
    """A duplicate code would be dropped by the registry without a word from here."""
    written = [value for module in modules() for value in vars(module).values() if isinstance(value, Rule)]
    codes = Counter(rule.code for rule in written)
    assert [code for code, count in codes.items() if count > 1] == []
    assert set(codes) == {rule.code for rule in RULES}
    assert len({rule.name for rule in written}) == len(written)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_stands_in_the_module_of_its_hundred(rule: Rule) -> None:
    """Who knows the code knows the file; from x10 to x49 it may be that of its ten, and what is said of a failure in a text always is."""
    ten, hundred = f"{rule.code[:-1]}x", rule.family
    allowed = {ten} if rule in READERS else {hundred, ten} if "10" <= rule.code[-2:] <= "49" else {hundred}
    assert rule.check.__module__ in {f"ivdoctor.rules.{one.lower()}" for one in allowed}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_has_a_manual_page_with_a_way_out(rule: Rule) -> None:
    """A title of one sentence, what it is about, and a section that says what to do."""
    about, heading, fix = rule.manual.partition("\n## Fix\n")
    assert heading, "no `## Fix` section"
    assert len(fix.split()) >= 3
    assert len(about.split("\n\n", 1)[1].split()) >= 8
    assert len(rule.title) <= 120
    assert not rule.title.endswith(".")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rules_name_is_kebab_case_and_not_its_code(rule: Rule) -> None:
    """The name says what is found, so that ignoring it reads right."""
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", rule.name)
    assert not rule.name.startswith("ivd")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rules_category_is_a_known_kind_of_failure(rule: Rule) -> None:
    """Or empty, where it is about no failure."""
    assert rule.category in CATEGORIES | {""}


def test_every_category_written_in_a_rules_body_is_a_known_kind_of_failure() -> None:
    """A problem may name another category than its rule: every hyphenated text that looks like one must be one."""
    for path in Path(rules.__path__[0]).glob("ivd*.py"):
        texts = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        like = {
            text for text in texts if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", text) and re.search(r"dtype|unsupported|overflow|mismatch|^neg-", text)
        }
        assert like <= CATEGORIES | set(ACTIONS) | FAMILIES, path.name


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_is_stable_since_a_version_that_exists(rule: Rule) -> None:
    """Since is a version number, and not a later one than this."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", rule.since)
    assert release(rule.since) <= release(__version__)


def test_every_category_that_a_text_can_have_is_one_rules() -> None:
    """None is left without advice, and none gets two; the rule about exceptions that nobody knows is the only one without."""
    advised = Counter(rule.category for rule in READERS if rule.code != "IVD159")
    assert advised == dict.fromkeys((row["category"] for row in EXAMPLES), 1)
    (unknown,) = [rule for rule in READERS if not rule.category]
    assert unknown.code == "IVD159"


def explained(text: str) -> list[Finding]:
    """What a text is told, with no hardware known."""
    return list(explain(read(BytesIO(text.encode()))).findings)


@pytest.mark.parametrize("row", EXAMPLES, ids=lambda row: f"{row['family']}: {row['text'][:40]}")
def test_every_example_gets_one_finding_whose_fixes_can_be_shown_and_counted(row: dict[str, str]) -> None:
    """By the rule of its category: an action of the list, a title, a leading fix that does not begin with `Or`, and code that is Python."""
    (found,) = explained(row["text"])
    assert (found.category, [found.code]) == (row["category"], [rule.code for rule in READERS if rule.category == row["category"]])
    assert found.fixes
    assert not found.fixes[0].title.startswith(("Or ", "And "))
    for fix in found.fixes:
        assert fix.action in ACTIONS
        assert len(fix.title.split()) >= 3
        assert not unsound(fix)


def unsound(fix: Fix) -> str:
    """Why its code is no Python, beside a command too; empty where it is, or where there is none."""
    try:
        ast.parse(fix.code)
    except SyntaxError as error:
        return str(error)
    return ""


def test_code_that_is_no_python_would_be_seen() -> None:
    """The check above can fail."""
    (found,) = explained(EXAMPLES[0]["text"])
    assert unsound(dataclasses.replace(found.fixes[0], code="x = x.to("))
    assert not unsound(dataclasses.replace(found.fixes[0], code="x = x.to(dtype)"))
