"""The line that loads a model, for what is installed: rules advise the one that the loader writes."""

import keyword

from .facts import Cast, Model, Packages, release

RENAMED = (4, 56)
"""The transformers that takes `dtype=` for what was `torch_dtype=`. Source: transformers#39782 (2025-08-22)."""

INPUTS = """\
inputs = {
    name: one.to(model.device, model.dtype if one.is_floating_point() else None) if torch.is_tensor(one) else one
    for name, one in inputs.items()
}
output = model(**inputs)"""
"""The floating inputs in the model's own dtype; what is no tensor stays as it is."""


def from_pretrained(  # in the order of the call
    kind: str, path: str, dtype: str, packages: Packages | None, model: Model | None = None, *, older: bool = False, more: str = ""
) -> str:
    """
    The call, its dtype under the name that the installed transformers knows.

    Args:
        model: one with code of its own is loaded with it, and with the older name, which its days' releases and 5.23 take.
        older: write the older name where the version is not known.
    """
    version = packages.version("transformers") if packages else None
    old = release(version) < RENAMED if version else older
    if model and model.remote_code:
        old, more = True, f"{more}, trust_remote_code=True"
    return f"{kind}.from_pretrained({path}, {'torch_dtype' if old else 'dtype'}={dtype}{more})"


def class_name(model: Model | None, cast: Cast | None = None) -> str:
    """
    The class that was really loaded; else the architecture by name, where the class is transformers' own; else `AutoModel`.

    The name is the repository's, and stands in code: nothing but an identifier gets there.
    """
    ran = cast.architecture if cast and cast.how == "real-run" else ""
    own = model.architectures[0] if model and model.architectures and not model.remote_code else ""
    return next(filter(_plain, (ran, own)), "AutoModel")


def _plain(name: str) -> bool:
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
