"""Digits as other hands, pens and cameras would have made them."""
import torch
import torch.nn.functional as F


def augment(x, g):
    """A batch [n, 1, 28, 28] in, another one out; g: the torch.Generator that decides."""
    n = len(x)

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(n, *shape, generator=g)

    def some(share):
        return (torch.rand(n, 1, 1, 1, generator=g) < share).float()

    turn, size = uniform(-0.26, 0.26), torch.exp(uniform(-0.42, 0.30))
    stretch, slant = torch.exp(uniform(-0.15, 0.15)), uniform(-0.2, 0.2)
    loose = torch.rand(n, generator=g) < 0.25  # not normalised: small, anywhere in the frame
    size = torch.where(loose, uniform(0.4, 1.0), size)
    room = torch.where(loose, (14 - 10 * size).clamp_min(2.5), 2.5)  # pixels
    scale = 1 / size  # the affine map takes output positions to input positions
    dx, dy = uniform(-1, 1) * room * scale / 14, uniform(-1, 1) * room * scale / 14
    cos, sin = torch.cos(turn) * scale, torch.sin(turn) * scale
    affine = torch.stack([
        torch.stack([cos * stretch, -sin + slant * cos, dx], 1),
        torch.stack([sin * stretch, cos + slant * sin, dy], 1)], 1)
    grid = F.affine_grid(affine, (n, 1, 28, 28), align_corners=False)
    coarse = torch.randn(n, 2, 5, 5, generator=g) * uniform(0, 0.07, 1, 1, 1)
    grid = grid + F.interpolate(coarse, (28, 28), mode='bicubic', align_corners=True).permute(0, 2, 3, 1)
    x = F.grid_sample(x, grid, mode='bilinear', align_corners=False)

    thick = F.max_pool2d(x, 3, 1, 1)
    thin = -F.max_pool2d(-x, 3, 1, 1)
    grow = uniform(-0.5, 0.9, 1, 1, 1) * some(0.5)
    x = x + grow.clamp_min(0) * (thick - x) + (-grow).clamp_min(0) * (thin - x)
    soft = F.avg_pool2d(x, 3, 1, 1)
    x = x + uniform(0, 1, 1, 1, 1) * some(0.25) * (soft - x)
    edge, steep = uniform(0.25, 0.55, 1, 1, 1), uniform(4, 16, 1, 1, 1)  # from grey to crisp ink
    crisp = torch.sigmoid((x - edge) * steep)
    zero = torch.sigmoid(-edge * steep)
    x = torch.lerp(x, (crisp - zero) / (1 - zero), some(0.5))

    bright, ground = uniform(0.45, 1, 1, 1, 1), uniform(0, 0.25, 1, 1, 1) * some(0.15)
    contrast = torch.lerp(torch.ones_like(bright), bright, some(0.35))
    x = ground + x * (contrast - ground).clamp_min(0.3)
    x = x + torch.randn(x.shape, generator=g) * uniform(0, 0.12, 1, 1, 1) * some(0.2)
    return x.clamp(0, 1)
