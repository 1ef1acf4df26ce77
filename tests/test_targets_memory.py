"""Targets by their memory: `A100-80`, `zen3-64GB`."""

import psutil
import pytest

from ivdoctor.targets import AmbiguousTarget, UnknownTarget, target


@pytest.mark.parametrize(
    ("name", "product", "memory_gib"),
    [
        ("A100-80", "A100 SXM4 80GB", 80),
        ("a100-40", "A100 SXM4 40GB", 40),
        ("NVIDIA A100-64", "A100-SXM-64GB", 64),
        ("V100-32", "Tesla V100 SXM2 32GB", 32),
        ("V100-16", "Tesla V100 SXM2 16GB", 16),
        ("P100-12", "Tesla P100 PCIe 12GB", 12),
        ("H100-80", "H100 SXM5 80GB", 80),
        ("H100-94", "H100 NVL", 94),
        ("H200-141", "H200 SXM 141GB", 141),
        ("GH200-144", "GH200 144GB HBM3e", 144),
        ("MI300-192", "Instinct MI300X", 192),
        ("MI300-128", "Instinct MI300A", 128),
        ("RTX 3080-12", "GeForce RTX 3080 12GB", 12),
        ("T4-16", "Tesla T4", 16),
    ],
)
def test_a_name_with_its_memory_is_the_product_of_that_size(name: str, product: str, memory_gib: int) -> None:
    """As people write it; the formats are the product's own."""
    place = target(name)
    assert (place.name, place.memory_mib) == (product, memory_gib * 1024)
    assert place.dtypes == target(product).dtypes


def test_a_count_goes_before_it() -> None:
    """`8xA100-80` are eight of them."""
    place = target("8xA100-80")
    assert (place.count, place.memory_mib) == (8, 81920)


@pytest.mark.parametrize("name", ["A100-81", "A100-8", "T4-8", "A100-0", "H100-940", "B-80", "-80", "A-80", "NVIDIA-80", "A100--80"])
def test_a_memory_that_the_product_does_not_have_is_unknown(name: str) -> None:
    """No neighbour is taken for it."""
    with pytest.raises(UnknownTarget):
        target(name)


def test_the_memory_tells_products_of_one_name_apart() -> None:
    """Without it nobody chooses for the user between two generations."""
    with pytest.raises(AmbiguousTarget):
        target("RTX 5000")
    assert target("RTX 5000-32").name == "RTX 5000 Ada Generation"
    assert target("RTX 5000-16").name == "Quadro RTX 5000"


@pytest.mark.parametrize("name", ["sm-80", "gtx-1080", "RTX-3090", "A800-40"])
def test_names_that_meant_something_before_still_do(name: str) -> None:
    """A number behind a hyphen is first read as part of the name."""
    assert target(name).memory_mib in {0, 8192, 24576, 40960}


@pytest.mark.parametrize("name", ["zen3-64GB", "zen3 64GB", "ZEN3_64 GiB", "milan-64GB", "zen 3 64gb"])
def test_a_processor_may_have_its_memory_behind_it(name: str) -> None:
    """With the formats of the processor alone."""
    place = target(name)
    assert (place.name, place.title, place.memory_mib) == ("zen3 64GB", "zen3", 65536)
    assert (place.dtypes, place.backend) == (target("zen3").dtypes, "cpu")


def test_a_processor_alone_has_no_known_memory() -> None:
    """It is not this machine's."""
    assert target("zen3").memory_mib == 0


def test_this_machines_processor_has_this_machines_memory() -> None:
    """And another where one is named."""
    assert target("cpu").memory_mib == psutil.virtual_memory().total // 2**20
    assert target("cpu-64GB").memory_mib == 65536
    assert target("cpu-64GB").dtypes == target("cpu").dtypes


@pytest.mark.parametrize("name", ["zen3-0GB", "zen3-64", "zen3-640000GB", "64GB", "zen99-64GB", "cpu-64MB"])
def test_what_is_no_memory_is_no_name(name: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(UnknownTarget):
        target(name)
