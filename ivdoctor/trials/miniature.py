"""
The InternVideo2.5 path with tiny random weights: patches, blocks, token merging, projector, causal LM.

It follows the published remote code where dtypes meet: the patch convolution has a bias and does not cast its
input, the projector casts nothing, and the visual tokens are written into the text embeddings after a move
to the device that leaves their dtype alone.

Source: OpenGVLab/InternVideo2_5_Chat_8B, modeling_intern_vit.py and modeling_internvl_chat_hico2.py, read for
their dtype behaviour on 2026-11-22; OpenGVLab/InternVideo issues 243 and 251.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

PIXELS = (2, 3, 8, 8)
"""Frames, channels, height, width."""
PATCH, WIDTH, HEADS, TOKENS, VOCABULARY = 4, 16, 2, 4, 32


class Block(nn.Module):
    """A pre-norm transformer block; attention in plain operators, so that torch 1.13 runs it too."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.causal = causal

    def forward(self, hidden: Tensor) -> Tensor:
        """Batch x tokens x width in and out."""
        batch, tokens, _ = hidden.shape
        qkv = self.qkv(self.norm1(hidden)).reshape(batch, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        scores = qkv[0] @ qkv[1].transpose(-1, -2) * (WIDTH // HEADS) ** -0.5
        if self.causal:
            future = torch.ones(tokens, tokens, dtype=torch.bool, device=hidden.device).triu(1)
            scores = scores.masked_fill(future, torch.finfo(scores.dtype).min)
        mixed = (scores.softmax(-1) @ qkv[2]).transpose(1, 2).reshape(batch, tokens, -1)
        hidden = hidden + self.out(mixed)
        grown: Tensor = self.down(functional.gelu(self.up(self.norm2(hidden))))
        return hidden + grown


class Vision(nn.Module):
    """Patch embedding and blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.class_embedding = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.position_embedding = nn.Parameter(torch.randn(1, (PIXELS[2] // PATCH) ** 2 + 1, WIDTH))
        self.blocks = nn.Sequential(Block(causal=False), Block(causal=False))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Frames x channels x height x width in, frames x patches x width out."""
        target_dtype = self.patch_embedding.weight.dtype
        patches = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_embedding.expand(len(patches), 1, -1).to(target_dtype), patches], dim=1)
        hidden = self.blocks(tokens + self.position_embedding.to(target_dtype))
        return merge(hidden[:, 1:].reshape(1, -1, WIDTH), TOKENS)


def merge(tokens: Tensor, keep: int) -> Tensor:
    """Token merging: average each token beyond the most distinct `keep` into its most similar kept one."""
    direction = tokens / tokens.norm(dim=-1, keepdim=True)
    likeness = (direction @ direction.transpose(-1, -2)).mean(-1)
    order = likeness.argsort(dim=-1)
    kept, spare = order[0, :keep].sort().values, order[0, keep:]
    nearest = (direction[0, spare] @ direction[0, kept].transpose(-1, -2)).argmax(-1)
    share = functional.one_hot(nearest, keep).to(tokens.dtype).transpose(0, 1)
    return ((tokens[0, kept] + share @ tokens[0, spare]) / (1 + share.sum(-1, keepdim=True)))[None]


class LanguageModel(nn.Module):
    """A causal LM that takes embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.Sequential(Block(causal=True))
        self.lm_head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, input_embeds: Tensor) -> Tensor:
        """Batch x tokens x width in, batch x tokens x vocabulary out."""
        logits: Tensor = self.lm_head(self.layers(input_embeds))
        return logits


class Miniature(nn.Module):
    """The whole path, from pixels and token ids to logits."""

    def __init__(self) -> None:
        super().__init__()
        self.vision, self.lm = Vision(), LanguageModel()
        self.projector = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, pixel_values: Tensor, input_ids: Tensor) -> Tensor:
        """Frames and one row of ids, whose zeros are the visual placeholders, in; logits out."""
        visual = self.projector(self.vision(pixel_values))
        input_embeds = self.lm.embed_tokens(input_ids).clone()
        selected = input_ids == 0
        input_embeds[selected] = visual.reshape(-1, WIDTH).to(input_embeds.device)
        logits: Tensor = self.lm(input_embeds)
        return logits


def build(device: str = "cpu") -> tuple[Miniature, Tensor, Tensor]:
    """The fp32 model with fixed random weights, its pixels and its ids, on a device."""
    torch.manual_seed(243)
    model = Miniature().eval()
    pixels = torch.randn(*PIXELS)
    ids = torch.tensor([[5, *[0] * TOKENS, 7, 11]])
    return model.to(device), pixels.to(device), ids.to(device)
