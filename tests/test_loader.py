"""The loader of a report: what is generated is run, in a process without ivdoctor."""

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivdoctor.facts import Asked, Cast, CastRun, Checkpoint, Half, Model, Packages, Place, Stored
from ivdoctor.loader import loader, loaders
from ivdoctor.outcome import Outcome, known
from ivdoctor.places import places
from ivdoctor.plugins import plugins
from ivdoctor.report import Loader
from ivdoctor.snapshot import load
from ivdoctor.testing import a_place, a_precision, a_torch, a_torch_without_cuda, an_operation, some_packages

MACHINES = Path(__file__).parent / "machines"

T4 = a_place("sm_75", "Tesla T4", name="cuda:0", memory_mib=15360)
BERT = Model(name="tiny-bert", architectures=("BertModel",), dtype="bfloat16")


def made(place: Place | None = None, dtype: Any = "auto", **facts: Any) -> Loader:
    one = loader(place or a_place(), Asked(dtype=dtype), **{"torch": a_torch_without_cuda() if place is None else a_torch()} | facts)
    assert one is not None
    return one


def test_a_quantised_model_is_not_cast_at_all() -> None:
    """Whichever of config and weights says so, and whatever was asked for."""
    float8 = Checkpoint(format="safetensors", files=1, bytes=9, stored=(Stored(dtype="float8_e4m3fn", tensors=1, parameters=9, bytes=9),))

    for one in (made(T4, "fp16", model=replace(BERT, quantization="awq")), made(T4, "fp16", model=BERT, checkpoint=float8)):
        assert (one.title, one.place) == ("A loader that does not cast", "cuda:0")
        assert '"auto"' in one.code
        assert "device_map=DEVICE" in one.code
        assert not {"DTYPE", "FALLBACK", "copy"} & {node.id for node in ast.walk(ast.parse(one.code)) if isinstance(node, ast.Name)}
    assert made(T4, model=replace(BERT, quantization="awq")).reason.startswith("the model is quantised (awq)")


def test_a_bf16_model_on_a_t4_waits_for_a_run_that_passed() -> None:
    """float16 is faster there, and its range untested: the comment above the variable says so."""
    cast = Cast(model="tiny-bert", how="real-run", inputs="2 sentences", runs=(CastRun(dtype="fp16", status="ran", relative_l2=1e-3, cosine=1.0),))

    untested, tested = made(T4, model=BERT), made(T4, model=BERT, cast=cast)

    assert chosen(untested.code) == "float32"
    assert "# the model was made in bfloat16, which Tesla T4 does not compute natively; float16 is faster, and whether" in untested.code
    assert chosen(tested.code) == "float16"
    assert "# Tesla T4 computes float16 natively, and a run of this model in it stayed within the limits" in tested.code
    assert tested.title == "A guarded loader in torch.float16"


def test_weights_that_do_not_fit_are_said_above_the_variable() -> None:
    seven = Checkpoint(format="safetensors", files=2, bytes=14, stored=(Stored(dtype="bfloat16", tensors=1, parameters=7_000_000_000, bytes=14),))

    assert made(T4, model=BERT, checkpoint=seven).reason.endswith("in fp32 its weights take 26 GiB, and Tesla T4 has 15")


@pytest.mark.parametrize(("version", "named"), [("4.40.1", "torch_dtype"), ("4.56.0", "dtype"), ("5.23.0", "dtype"), (None, "torch_dtype")])
def test_the_dtype_is_called_as_the_installed_transformers_calls_it(version: str | None, named: str) -> None:
    """By its older name where the version is not known: the newest takes that too."""
    packages = some_packages({"transformers": version} if version else {})

    for quantization in ("", "awq"):
        assert f"MODEL, {named}=" in made(model=replace(BERT, quantization=quantization), packages=packages).code
    assert version or f"MODEL, {named}=" in made(model=BERT, packages=None).code


def test_code_of_the_repository_is_the_users_decision() -> None:
    """Said in a comment above the one call, and refused until the user writes True; trust is always passed."""
    for quantization in ("", "awq"):
        ours, theirs = (made(model=replace(BERT, remote_code=remote, quantization=quantization)).code for remote in (False, True))

        assert [code.count("trust_remote_code=False") for code in (ours, theirs)] == [1, 1]
        lines = theirs.splitlines()
        (said,) = (number for number, line in enumerate(lines) if line.endswith("read that, and write True if you trust it"))
        assert "transformers.AutoModel.from_pretrained(MODEL, " in lines[said + 1]
        assert "trust it" not in ours


@pytest.mark.parametrize("dtype", ["auto", "fp32", "fp16", "bf16"])
@pytest.mark.parametrize("model", [None, BERT, replace(BERT, remote_code=True), replace(BERT, quantization="awq", remote_code=True)])
@pytest.mark.parametrize("packages", [None, some_packages({"transformers": "5.23.0"})])
def test_it_is_a_few_lines(dtype: Any, model: Model | None, packages: Packages | None) -> None:
    """Blank lines and comments are not counted; no line is wider than ours, and the reason takes two at most."""
    wordy = Cast(model="x", how="real-run", inputs="", runs=(CastRun(dtype="fp16", status="raised", message="a long story " * 99),))

    for cast in (None, wordy):
        lines = [line for line in made(T4, dtype, model=model, packages=packages, cast=cast).code.splitlines() if line.strip()]
        assert len([line for line in lines if not line.lstrip().startswith("#")]) <= 22
        assert len([line for line in lines if line.startswith("# ")]) <= 2 + bool(model and model.quantization)
        assert max(map(len, lines)) <= 150


@pytest.mark.parametrize(
    "name", ["", "class", "_Private", "os.system('x')", "BertModel; import os", "Bert\nModel", "\u0412ertModel", "None", 'a"', "{DTYPE}"]
)
@pytest.mark.parametrize("quantization", ["", "awq"])
def test_a_class_whose_name_is_no_identifier_is_not_named(name: str, quantization: str) -> None:
    code = made(model=replace(BERT, architectures=(name,), quantization=quantization)).code

    assert "transformers.AutoModel.from_pretrained(" in code
    assert shape(code) == shape(made(model=replace(BERT, architectures=(), quantization=quantization)).code)


def test_the_class_that_was_really_loaded_is_named() -> None:
    """The configuration may name one that no transformers has."""
    cast = Cast(model="x", how="real-run", inputs="", architecture="RobertaModel")
    assert "transformers.RobertaModel.from_pretrained(" in made(model=BERT, cast=cast).code
    assert "transformers.RobertaModel" not in made(model=BERT, cast=replace(cast, how="miniature")).code


def test_a_family_known_to_overflow_gets_no_loader_in_fp16() -> None:
    """On a card that computes fp16 alone."""
    assert "torch.float32" in made(T4, model=replace(BERT, model_type="t5", dtype="float32")).title
    assert "torch.float16" in made(T4, model=replace(BERT, dtype="float32")).title


def assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """The constants at the top."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            names, values = (one.elts if isinstance(one, ast.Tuple) else [one] for one in (target, node.value))
            found |= {ast.unparse(name): value for name, value in zip(names, values, strict=True)}
    return found


def shape(code: str) -> str:
    """The syntax tree, the strings of MODEL and DEVICE left out."""
    tree = ast.parse(code)
    for name, value in assigned(tree).items():
        if name in ("MODEL", "DEVICE"):
            assert isinstance(value, ast.Constant)
            value.value = ""
    return ast.dump(tree)


def constant(code: str, name: str) -> Any:
    return ast.literal_eval(assigned(ast.parse(code))[name])


def chosen(code: str) -> str:
    """The dtype, by torch's name without `torch.`."""
    return ast.unparse(assigned(ast.parse(code))["DTYPE"]).removeprefix("torch.")


HOSTILE = [
    'x"; raise SystemExit(3) #',
    "a'\n\nraise SystemExit(3)\n",
    '"""',
    "\\",
    "{DTYPE}",
    "\u202egnp",
    "\x00",
    "\r\nimport os",
    "\u2028x",
    "\ud800",
    "\x1b[2J",
]


@settings(max_examples=50)
@given(st.one_of(st.sampled_from(HOSTILE), st.text()), st.sampled_from(["", "awq"]))
def test_no_text_from_outside_becomes_code(text: str, quantization: str) -> None:
    """The folder's name, the device's and the exception's own words: constants and comments, whatever they hold."""
    place = replace(T4, title=text or "T4")
    cast = Cast(model=text, how="real-run", inputs=text, runs=(CastRun(dtype="fp16", status="raised", message=text),))
    model = replace(BERT, name=text, dtype="float16", quantization=quantization and quantization + text)

    code = made(place, model=model, cast=cast).code
    plain = made(
        T4, model=replace(BERT, dtype="float16", quantization=quantization), cast=replace(cast, runs=(replace(cast.runs[0], message="no"),))
    ).code

    assert shape(code) == shape(plain)
    assert constant(code, "MODEL") == "path/to/" + text
    assert made(place, model=model, cast=cast).reason.isprintable()
    assert code.replace("\n", "").isprintable()
    assert shape(made(place, cast=cast).code) == shape(made(T4, cast=replace(cast, runs=())).code).replace("float16", "float32", 1)


# One a place.


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("t4", [("cuda:0", "float16")]),
        ("v100", [("cuda:0", "float16")]),
        ("p40", [("cuda:0", "float32")]),
        ("a100-80", [("cuda:0", "bfloat16")]),
        ("h100", [("cuda:0", "bfloat16")]),
        ("rtx4090x2", [("cuda:0", "bfloat16")]),
        ("mi300x", [("cuda:0", "bfloat16")]),
        ("gpus-hidden", [("cpu", "float32")]),
        ("wheel-without-sm61", [("cpu", "float32")]),
        ("wheel-without-sm120", [("cpu", "float32")]),
        ("no-torch", []),
    ],
)
def test_every_machine_gets_one_for_each_place_that_torch_reaches(machine: str, expected: list[tuple[str, str]]) -> None:
    """Beside an accelerator that runs the CPU gets none; without torch, or without code for the device, there is nothing to load on."""
    outcomes = load((MACHINES / f"{machine}.json").read_bytes(), plugins().facts()).outcomes
    shared = known(outcomes)

    found = loaders(outcomes, places(shared), shared, Asked())

    assert [(one.place, chosen(one.code)) for one in found] == expected
    assert all(constant(one.code, "DEVICE") == one.place for one in found)


def test_what_was_found_at_a_place_counts_there_alone() -> None:
    """Two unlike accelerators, of which one overflows in fp16."""
    found = (a_place(), T4, replace(T4, name="cuda:1", title="Tesla V100"))
    lost = CastRun(dtype="fp16", status="ran", nonfinite=4, relative_l2=-1.0)
    outcome = Outcome(subject="cast", status="ok", place="cuda:1", fact=Cast(model="x", how="real-run", inputs="", runs=(lost,)))

    first, second = loaders([outcome], found, {type(fact): fact for fact in (a_torch(), replace(BERT, dtype=""))}, Asked())

    assert ["torch.float16" in one.title for one in (first, second)] == [True, False]
    assert second.reason == "fp16 was run here, and its output is not finite"


@pytest.mark.parametrize("dtype", ["auto", "fp32", "bf16"])
def test_where_nothing_runs_there_is_no_loader(dtype: Any) -> None:
    """A place out of reach, a torch that is not there, and a device on which every operation failed."""
    names: list[tuple[Half, str]] = [
        (half, name) for half in ("fp32", "fp16", "bf16") for name in ("matmul", "linear", "conv2d", "attention", "layer_norm")
    ]
    dead = a_precision(*(an_operation(half, name, "no kernel image") for half, name in names))

    assert loader(replace(T4, reachable=False), Asked(dtype=dtype), torch=a_torch()) is None
    assert loader(T4, Asked(dtype=dtype), torch=None) is None
    assert loader(T4, Asked(dtype=dtype), torch=a_torch(), precision=dead) is None
    assert loaders([], [T4], {}, Asked(dtype=dtype)) == ()
