"""Which linear layers a quantised checkpoint leaves as they are, by the names that its configuration lists."""

import fnmatch
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable

from ..facts import Quantisation
from ..modelfiles.reading import shown
from ..text import say
from .weight import Unknown, Weight

MOST_LOOKS = 1_000_000
"""Names times patterns: a real model has a few thousand names, and a list of at most some hundred patterns."""

MOST_STEPS = 200_000_000
"""Of all patterns on all names at worst: some seconds."""

LONGEST = 400
"""Characters of a pattern."""

MOST_STARS = 3
LENGTH = 80
"""Repetitions of anything in a pattern, each of which may cost as many steps as a name is long."""

STARS = re.compile(r"(?<!\\)(?<!\\d)(?:[*+]|\{\d*,\d*\})")
NESTED = re.compile(r"\)(?:[*+{])|\\[1-9]|\(\?(?!:|i\))")
"""A repeated group, a reference back, a look around: what can take for ever."""

PLAIN = re.compile(r"[\w.\-/]+")
BEFORE = re.compile(r"^(?:model\.|language_model\.|transformer\.)+")
"""What names begin with in one release of transformers or another."""

HEADS = ("lm_head", "output", "embed_out", "proj_out")
INSIDE = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.\d+\.")
TOWERS = re.compile(r"(?:^|\.)(?:visual|vision|audio|mlp1|multi_modal)")
LAYER = re.compile(r"(?:^|\.)layers\.(\d{1,6})(?:\.|$)")
LOOSE = re.compile(r"lm_head|embed|norm|mtp|nextn|eh_proj|score|rotary|output")
"""Names that lists give although the model need not have them, or has no linear layer there."""


def kept(weights: Iterable[Weight], quantisation: Quantisation) -> set[str]:
    """
    The linear layers, by the names of their modules, that are stored unquantised.

    Raises:
        Unknown: a pattern is too costly or no pattern, or names modules that the model has under another name or not at all.
    """
    names = dict.fromkeys(module_of(one) for one in weights)
    linear = dict.fromkeys(module_of(one) for one in weights if one.linear)
    method = quantisation.method.lower()
    if method in ("awq", "gptq"):
        out = {name for name in linear if not INSIDE.search(name) or TOWERS.search(name)}
    elif quantisation.ignored or "compressed" in method:
        out = set()
    else:
        out = {name for name in linear if name.rpartition(".")[2] in HEADS}
    if method == "gptq" and quantisation.targets:
        out |= {name for name in linear if not name.endswith(quantisation.targets)}
    out |= _Listed(names, linear, whole="compressed" in method, within=method == "awq").matched(quantisation.ignored)
    return out


def module_of(weight: Weight) -> str:
    """The module that it belongs to."""
    return weight.name.removesuffix(".weight").removesuffix(".bias")


class _Listed:
    """The modules of a model, to be found by what a list says."""

    def __init__(self, names: Iterable[str], linear: Iterable[str], *, whole: bool, within: bool) -> None:
        """
        Each method has its own rule for a plain name.

        Args:
            whole: only the module itself: compressed-tensors 0.20.0, utils/match.py.
            within: whatever has it in its name: autoawq 0.2.9, utils/module.py (from knowledge, uncertain). Else what begins with it up to a
                dot or ends with it: transformers 5.23.0, quantizers/quantizers_utils.py.
        """
        self.whole, self.within = whole, within
        self.names = {name: _bare(name) for name in names}
        self.linear = {name: (self.names[name], _forms(name, self.names[name])) for name in linear}
        self.places = sorted(set(self.names.values()))

    def matched(self, ignored: tuple[str, ...]) -> set[str]:
        """Of the linear layers."""
        plain = {one: _bare(one) for one in ignored if PLAIN.fullmatch(one)}
        known = {bare for bare in plain.values() if self._is_there(bare)}
        if self.whole or not known:
            out = {name for name, (bare, _) in self.linear.items() if bare in known}
        else:
            out = {name for name, (bare, _) in self.linear.items() if not known.isdisjoint(_parts(bare))}
        loose = list(dict.fromkeys(one for one in ignored if plain.get(one) not in known))
        tests = {one: self._test(one) for one in loose}
        steps = sum(LENGTH ** max(_stars(one) - 1, 0) for one in loose)
        if len(loose) * len(self.names) > MOST_LOOKS or steps * len(self.names) > MOST_STEPS:
            raise Unknown(say("its quantisation lists too many patterns to follow"))
        for one, test in tests.items():
            out |= self._found(one, test)
        return out

    def _is_there(self, bare: str) -> bool:
        """Whether a module has this name, or is in one that has."""
        for begin in (bare, f"{bare}."):
            index = bisect_left(self.places, begin)
            if index < len(self.places) and (self.places[index] == bare or self.places[index].startswith(f"{bare}.")):
                return True
        return False

    def _found(self, listed: str, test: Callable[[str], bool]) -> set[str]:
        found = {name for name, (_, forms) in self.linear.items() if any(map(test, forms))}
        if not found and not self._harmless(listed) and not any(test(form) for name, bare in self.names.items() for form in _forms(name, bare)):
            raise Unknown(say("its quantisation leaves out {pattern}, which is no module that ivdoctor knows in it", pattern=shown(listed)))
        return found

    def _test(self, listed: str) -> Callable[[str], bool]:
        if listed.startswith("re:"):
            return _compiled(listed[3:], listed)
        if not PLAIN.fullmatch(listed):
            wild = fnmatch.translate(listed) if "*" in listed and not re.search(r"[\\()^$|+]|\.\*", listed) else ""
            return _compiled(wild or rf"(?:{listed})(?:(?<=\.)|(?=\.|$))", listed)
        if self.whole:
            return lambda name: name == listed
        return (lambda name: listed in name) if self.within else (lambda name: name.endswith(listed))

    def _harmless(self, listed: str) -> bool:
        """Layers beyond the last are drafts of the next tokens, which the class leaves out."""
        if LOOSE.search(listed):
            return True
        beyond = LAYER.search(listed)
        deepest = max((int(found[1]) for name in self.names for found in LAYER.finditer(name)), default=-1)
        return beyond is not None and int(beyond[1]) > deepest


def _compiled(pattern: str, listed: str) -> Callable[[str], bool]:
    if len(listed) > LONGEST or _stars(listed) > MOST_STARS or NESTED.search(listed):
        raise Unknown(say("the pattern {pattern} of its quantisation is too costly to follow", pattern=shown(listed)))
    try:
        found = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise Unknown(say("the pattern {pattern} of its quantisation is no pattern", pattern=shown(listed))) from error
    return lambda name: found.match(name) is not None


def _stars(listed: str) -> int:
    """At the end they cost nothing."""
    return len(STARS.findall(listed.removesuffix("$").removesuffix(".*")))


def _bare(name: str) -> str:
    return BEFORE.sub("", name).replace("vision_tower.vision_model.", "vision_tower.")


def _forms(name: str, bare: str) -> tuple[str, ...]:
    """As it is, and as other releases of transformers have it."""
    if "language_model." in name:
        return name, bare, f"model.{bare}", f"language_model.model.{bare}", f"model.language_model.{bare}"
    return (name, bare) if name == f"model.{bare}" else (name, f"model.{bare}") if name == bare else (name, bare, f"model.{bare}")


def _parts(name: str) -> list[str]:
    """The name, and all that it is in."""
    found, end = [name], name.rfind(".")
    while end > 0:
        found.append(name[:end])
        end = name.rfind(".", 0, end)
    return found
