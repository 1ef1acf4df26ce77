"""What a model keeps of every token it has read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Numbers in the key/value cache, for one sequence."""

    per_token: int
    """Of the layers that keep every token: 2 x layers x key/value heads x head size, where it is the usual kind."""
    windowed: int = 0
    """Of a token, in the layers that keep only the last `window` tokens."""
    window: int = 0
    compressed: int = 0
    """Of a token where engines keep the latent alone (multi-head latent attention); 0 where there is none."""
    state: int = 0
    """Whatever the length: the state of linear attention and state-space layers."""

    def numbers(self, context: int, *, latent: bool = False) -> int:
        """For so many tokens, expanded as transformers keeps them, or the latent alone as engines do."""
        grows = self.compressed if latent and self.compressed else self.per_token
        return grows * context + self.windowed * min(context, self.window) + self.state
