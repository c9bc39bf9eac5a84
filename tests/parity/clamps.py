"""Formulas of the ops that contain a clamp, because PyTorch has changed the gradient at the bound of a clamp.

`compare` selects the convention: with torch.ge the gradient at the bound is 1, as in Ebb; with torch.gt it is 0, as in 2.15.
"""

import torch

from losses_pointwise import reduce

COSINE_EPS = torch.tensor(1e-12, dtype=torch.float32).item()  # 1e-12 rounded to f32, as in torch


def clamp(input, min=None, max=None, compare=torch.ge):
    passes = torch.ones_like(input, dtype=torch.bool)
    if min is not None:
        passes &= compare(input, min)
    if max is not None:
        passes &= compare(-input, -max)
    return torch.where(passes, input, input.detach().clamp(min, max))


def hinge_embedding_loss(input, target, margin=1.0, reduction="mean", compare=torch.ge):
    itself = torch.where(target != -1, input, 0.0)
    hinge = torch.where(target != 1, clamp(margin - input, 0.0, compare=compare), 0.0)
    return reduce(itself + hinge, reduction)


def margin_ranking_loss(input1, input2, target, margin=0.0, reduction="mean", compare=torch.ge):
    return reduce(clamp(margin - target * (input1 - input2), 0.0, compare=compare), reduction)


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction="mean", compare=torch.ge):
    squares = [(x * x).sum(-1) + COSINE_EPS for x in (input1, input2)]
    cosine = (input1 * input2).sum(-1) / (squares[0] * squares[1]).sqrt()
    apart = torch.where(target == -1, clamp(cosine - margin, 0.0, compare=compare), 0.0)
    return reduce(torch.where(target == 1, 1 - cosine, apart), reduction)


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean", compare=torch.ge
):

    def apart(u, v):
        return torch.linalg.vector_norm(u - v + eps, p, dim=-1)

    far = apart(anchor, negative)
    if swap:
        far = torch.minimum(far, apart(positive, negative))
    return reduce(clamp(margin + apart(anchor, positive) - far, 0.0, compare=compare), reduction)
