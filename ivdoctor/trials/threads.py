"""How many threads torch computes with: one for tiny models, its own choice for a real one."""

import torch

OWN = torch.get_num_threads()
"""What torch chose, by OMP_NUM_THREADS, the affinity and the cores; taken before anybody asked for one."""


def one() -> None:
    """Threads cost more than they bring on a few thousand numbers."""
    torch.set_num_threads(1)


def own() -> None:
    """As the user's own program would have it."""
    torch.set_num_threads(OWN)
