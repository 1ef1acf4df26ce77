"""Nothing personal or secret leaves the machine, in any format, wherever it stood."""

import re
import string
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ivdoctor.checkup import judged
from ivdoctor.facts import Asked, Package, Packages, Version
from ivdoctor.outcome import Outcome
from ivdoctor.plugins import plugins
from ivdoctor.redact import COMMON, Identity, Redactor
from ivdoctor.snapshot import load

NAMES = st.text(string.ascii_lowercase + string.digits, min_size=3, max_size=12).filter(lambda name: name[0].isalpha() and name not in COMMON)
AROUND = st.sampled_from(["", " ", "(", '"', "'", ":", "/", "=", "\n", "\uff0c", "File "])
TEXT = st.text(max_size=40)


@given(user=NAMES, before=AROUND, after=AROUND, noise=TEXT)
def test_home_paths_go(user: str, before: str, after: str, noise: str) -> None:
    """Anybody's home below /home, /Users or C:\\Users, whoever runs ivdoctor."""
    for home in (f"/home/{user}/models", f"/Users/{user}/models", f"C:\\Users\\{user}\\models", f"C:/Users/{user}/models"):
        clean = Redactor().text(f"{noise} {home}{after}")
        assert f"home/{user}" not in clean
        assert f"sers/{user}" not in clean
        assert f"sers\\{user}" not in clean
        assert "models" in clean


@given(home=NAMES, noise=TEXT)
def test_the_own_home_goes_wherever_it_is(home: str, noise: str) -> None:
    """A home outside the usual places is known by name."""
    redactor = Redactor(Identity(homes=(f"/data/people/{home}",)))

    assert f"people/{home}" not in redactor.text(f"{noise}/data/people/{home}/.cache {noise}")


@given(name=NAMES, before=AROUND, after=AROUND)
@example(name="jane", before="", after="@")
@example(name="mueller", before="用户", after="的")
def test_user_and_host_names_go_as_whole_tokens(name: str, before: str, after: str) -> None:
    """`jane` goes, `janeiro` stays; capitals make no difference."""
    redactor = Redactor(Identity(users=(name,), hosts=(f"{name}-pc",)))

    clean = redactor.text(f"{before}{name}{after} {name.upper()} {name}-pc x{name}x")

    assert not re.search(rf"(?<![a-z0-9_]){name}(?![a-z0-9_])", clean.lower())
    assert f"x{name}x" in clean


@pytest.mark.parametrize("name", ["张三", "Ōe", "имя"])
def test_names_in_scripts_without_spaces_go(name: str) -> None:
    """There are no tokens there, so any occurrence counts."""
    assert name not in Redactor(Identity(users=(name,))).text(f"用户{name}的文件")


TOKENS = st.text(string.ascii_letters + string.digits, min_size=20, max_size=40)


@given(token=TOKENS, before=AROUND, after=AROUND, noise=TEXT)
def test_tokens_go(token: str, before: str, after: str, noise: str) -> None:
    """Those that show by their prefix, and those named as secrets."""
    planted = [
        f"hf_{token}",
        f"sk-{token}",
        f"sk-proj-{token}",
        f"ghp_{token}",
        f"github_pat_{token}",
        f"glpat-{token}",
        f"xoxb-{token}",
        f"nvapi-{token}",
        f"AKIA{token.upper()[:16]}",
    ]
    assume(token not in noise)
    for secret in planted:
        assert secret not in Redactor().text(f"{noise}{before}{secret}{after}")
    for line in (
        f"aws_secret_access_key = {token}",
        f'"HF_TOKEN": "{token}"',
        f"password={token}",
        f"Authorization: Bearer {token}",
        f"api-key:{token}",
    ):
        assert token not in Redactor().text(f"{noise}\n{line}{after}")


@given(user=NAMES, password=TOKENS, host=NAMES)
def test_url_credentials_go_and_the_host_stays(user: str, password: str, host: str) -> None:
    """`https://user:password@host` keeps what it points to."""
    clean = Redactor().text(f"index https://{user}:{password}@{host}.example/simple and https://{password}@{host}.example")

    assert password not in clean
    assert f"@{host}.example" in clean


@given(local=NAMES, domain=NAMES, before=AROUND)
def test_email_addresses_go(local: str, domain: str, before: str) -> None:
    """With dots, pluses and subdomains."""
    clean = Redactor().text(f"{before}{local}.x+y@{domain}.example.com")

    assert local not in clean.replace("example", "")
    assert "@" not in clean


@given(address=st.ip_addresses(), before=AROUND.filter(lambda one: one != ":"))
def test_ip_addresses_go(address: object, before: str) -> None:
    """Both kinds, with a port or without; `::` alone is C++."""
    text = str(address)
    if text == "::":
        return

    assert text not in Redactor().text(f"connect to {before}{text} failed")
    assert text not in Redactor().text(f"http://[{text}]:8000/v1" if ":" in text else f"http://{text}:8000/v1")


@pytest.mark.parametrize(
    "text",
    [
        "Input type (c10::BFloat16) and bias type (c10::Half) should be the same",
        "Unexpected floating ScalarType in at::autocast::prioritize",
        "torch 2.13.0+cpu, CUDA 12.4, driver 550.54.14, transformers 4.40.1",
        "device 0000:3b:00 at 12:30:45",
        "sm_50 sm_60 sm_70 sm_75 sm_80 compute_90 gfx90a:sramecc+:xnack-",
        "/usr/lib/python3.11/site-packages/torch/nn/modules/conv.py:560",
        "model = model.to(torch.bfloat16)",
        "risk-free desk-based task",
        "hidden_states: tokens=7, tokenizer",
        "tokenizers 0.22.1 and sentencepiece, token 512 of 1024",
        "--max-new-tokens 512 --dtype fp16",
    ],
)
def test_what_a_report_is_made_of_stays(text: str) -> None:
    """Error texts, versions, architectures and paths of packages are the point of the report."""
    redactor = Redactor(Identity(homes=("/home/jane",), users=("jane",), hosts=("tower",)))

    assert text == redactor.text(text)


def test_typed_versions_stay_and_only_versions_pass_as_such() -> None:
    """`9.1.0.70` is a cuDNN in a typed field and an address anywhere else; a typed field takes nothing but versions."""
    redactor = Redactor(Identity(users=("jane",)))

    fact = redactor.fact(
        Packages(
            installed=(Package(name="cudnn 9.1.0.70", version=Version("9.1.0.70")), Package(name="x", version=Version("jane"))),
            shadowed=(),
            broken=("/home/jane/x.dist-info",),
        )
    )

    assert (fact.installed[0].name, fact.installed[0].version) == ("cudnn <address>", "9.1.0.70")
    assert fact.installed[1].version == "<user>"
    assert fact.broken == ("~/x.dist-info",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nest:
    text: str
    inner: "tuple[Nest, ...]" = ()
    table: dict[str, str] | None = None


@given(depth=st.integers(0, 5), user=NAMES)
def test_every_text_in_a_fact_is_reached(depth: int, user: str) -> None:
    """However deep in tuples, dictionaries and facts."""
    nest = Nest(text=f"of {user}", table={f"/home/{user}": f"{user} again"})
    for _ in range(depth):
        nest = Nest(text="outer", inner=(nest,))
    outcome = Outcome(subject="nest", status="ok", reason=f"{user} did it", fact=nest)

    clean = Redactor(Identity(users=(user,))).outcome(outcome)

    names = repr(Outcome(subject="", status="ok", fact=Nest(text="", table={"": ""}))) + "<user> outer"
    assume(user not in names)  # `fac` stands in every `fact=`
    assert user not in repr(replace(clean, subject=""))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("http://bob:p@ssw0rd@proxy:3128", "ssw0rd"),
        ("http://bob:pa/ss@proxy.corp", "pa/ss"),
        ("C:\\Users\\John Smith\\x", "Smith"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("password: 12345678", "12345678"),
        ("password=ab1", "ab1"),
        ("password=1234567", "1234567"),
        ("pwd=hunter2", "hunter2"),
        ("--token abcdefgh12345678", "abcdefgh12345678"),
        ("PASSWD='my pass word'", "pass word"),
        ("https://x.example/f?sig=Ab3dEf6h", "Ab3dEf6h"),
    ],
)
def test_secrets_in_odd_clothes_go(text: str, secret: str) -> None:
    """Found by a reader who looked for holes."""
    assert secret not in Redactor().text(text)


@pytest.mark.parametrize("name", ["ran", "works", "raised", "passed", "native", "zen2", "avx2", "cuda", "bf16"])
def test_a_name_that_is_a_word_of_ours_changes_no_verdict(name: str) -> None:
    """A user called `ran` must not turn what ran into something else."""
    snapshot = load((Path(__file__).parent / "machines" / "cpu.json").read_bytes(), plugins().facts())

    clean = tuple(map(Redactor(Identity(users=(name,), hosts=(name,))).outcome, snapshot.outcomes))

    mine, theirs = (judged(outcomes, Asked(), registered=plugins()) for outcomes in (clean, snapshot.outcomes))
    assert (mine.exit_code, [(one.code, one.severity) for one in mine.findings]) == (0, [(one.code, one.severity) for one in theirs.findings])


@given(text=st.text(max_size=200))
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    """So a snapshot judged elsewhere gives the same report."""
    redactor = Redactor(Identity(users=("jane",), hosts=("tower",)))

    once = redactor.text(text)

    assert once == redactor.text(once)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10**6,
        "1." * 10**5,
        ":" * 10**5,
        "a:" * 10**5,
        "hf_" * 10**5,
        "@" * 10**5,
        "x@" * 10**5,
        "a.b-" * 10**5,
        "token=" * 10**4,
        "/home/" * 10**5,
    ],
)
def test_hostile_texts_take_no_time(text: str) -> None:
    """No pattern is worse than linear, near enough."""
    import time

    began = time.process_time()
    Redactor(Identity(users=("jane",))).text(text)

    assert time.process_time() - began < 5


def test_a_line_of_code_that_draws_tokens_is_no_secret() -> None:
    """The best-known line of text generation assigns to a name that ends in `tokens`."""
    line = "next_tokens = torch.multinomial(probs, num_samples=1).squeeze(1)"
    assert Redactor().text(line) == line
    assert "s3cr3t" not in Redactor().text("token = s3cr3t-of-mine")
