"""Drawn digits, made up: skeletons of the ten digits, jittered, drawn as anti-aliased strokes.

A skeleton is a list of strokes; a stroke is ('l', points) for straight pieces or ('c', points) for
a smooth curve through the points. x runs 0..0.65, y runs 0..1 downwards. What people vary (slant,
proportion, tremor, pen width, where a loop closes) is drawn at random for each image.
"""
import math

import numpy as np

SEGMENTS = 48  # per image; short skeletons repeat their last point


def arc(cx, cy, rx, ry, start, sweep, count=9):
    """Points on an ellipse; degrees, 0 = right, 90 = down."""
    angles = np.radians(start + np.linspace(0, 1, count) * sweep)
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


def zero(r):
    rx = r.uniform(0.18, 0.42)
    strokes = [('c', arc(0.3, 0.5, rx, 0.5, r.uniform(-140, -40), -r.uniform(345, 400), 11))]
    if r.random() < 0.04:
        strokes.append(('l', [(0.3 + rx * 0.6, 0.15), (0.3 - rx * 0.6, 0.85)]))
    return strokes


def one(r):
    kind = r.integers(6)
    lean = r.uniform(-0.06, 0.06)
    stem = [(0.3, 0.0), (0.3 + lean, 1.0)]
    if kind <= 2:
        return [('l', stem)]
    flag = (0.3 - r.uniform(0.1, 0.3), r.uniform(0.16, 0.42))
    if kind == 3:
        base = r.uniform(0.1, 0.28)
        return [('l', [flag] + stem), ('l', [(0.3 - base, 1.0), (0.3 + base, 1.0)])]
    return [('l', [flag] + stem)]


def two(r):
    top = [(0.04, 0.26), (0.12, 0.07), (0.32, 0.0), (0.54, 0.08), (0.58, 0.28)]
    kind = r.integers(5)
    if kind <= 1:
        return [('c', top + [(0.46, 0.52), (0.2, 0.8), (0.0, 1.0)]), ('l', [(0.0, 1.0), (0.64, r.uniform(0.94, 1.02))])]
    if kind == 2:
        return [('c', top + [(0.42, 0.55), (0.2, 0.86), (0.04, 0.97), (0.0, 0.86), (0.12, 0.78), (0.32, 0.9), (0.64, 0.96)])]
    if kind == 3:
        return [('l', [(0.02, r.uniform(0.0, 0.12)), (0.55, 0.0), (0.0, 1.0), (0.62, 1.0)])]
    return [('c', top + [(0.44, 0.56), (0.16, 0.86), (0.0, 0.98), (0.3, 0.95), (0.64, 0.98)])]


def three(r):
    low = [(0.24, 0.46), (0.52, 0.56), (0.6, 0.78), (0.34, 1.0), (0.0, r.uniform(0.84, 0.96))]
    kind = r.integers(5)
    if kind <= 1:
        return [('c', [(0.03, r.uniform(0.06, 0.18)), (0.28, 0.0), (0.54, 0.12), (0.5, 0.34), (0.24, 0.46)]), ('c', low)]
    if kind == 2:
        return [('l', [(0.0, 0.0), (0.56, 0.0), (0.24, 0.42)]), ('c', [(0.24, 0.42)] + low[1:])]
    if kind == 3:  # one line with a small loop in the waist
        return [('c', [(0.03, 0.12), (0.3, 0.0), (0.54, 0.14), (0.42, 0.4), (0.2, 0.5), (0.22, 0.4), (0.5, 0.54), (0.58, 0.78), (0.3, 1.0), (0.0, 0.9)])]
    return [('c', arc(0.25, 0.24, 0.3, 0.25, -160, 245) + arc(0.25, 0.74, 0.36, 0.26, -90, r.uniform(220, 260))[1:])]


def four(r):
    kind = r.integers(5)
    bar = r.uniform(0.52, 0.72)
    stem_x = r.uniform(0.38, 0.52)
    if kind == 0:
        return [('l', [(stem_x, 1.0), (stem_x, 0.0), (0.0, bar), (0.64, bar)])]
    if kind == 1:
        return [('l', [(stem_x, 0.0), (0.0, bar), (0.64, bar)]), ('l', [(stem_x, r.uniform(0.0, 0.4)), (stem_x, 1.0)])]
    if kind == 2:
        return [('l', [(r.uniform(0.02, 0.2), 0.0), (0.0, bar), (0.64, bar - 0.02)]), ('l', [(stem_x, r.uniform(0.0, 0.4)), (stem_x - 0.04, 1.0)])]
    if kind == 3:
        return [('c', [(0.06, 0.0), (0.0, 0.32), (0.08, 0.52), (0.3, 0.54), (0.5, 0.5)]), ('l', [(0.54, r.uniform(0.0, 0.2)), (0.5, 1.0)])]
    return [('l', [(0.04, 0.0), (0.03, bar - 0.1), (0.52, bar - 0.1)]), ('l', [(0.53, 0.0), (0.5, 1.0)])]


def five(r):
    kind = r.integers(5)
    belly = [(0.05, 0.44), (0.3, 0.36), (0.56, 0.5), (0.58, 0.78), (0.32, 1.0), (0.0, r.uniform(0.86, 0.98))]
    corner = (r.uniform(0.04, 0.14), r.uniform(-0.02, 0.06))
    if kind <= 1:
        return [('l', [(0.58, 0.0), corner, (0.05, 0.44)]), ('c', belly)]
    if kind == 2:
        return [('l', [corner, (0.05, 0.44)]), ('c', belly), ('l', [corner, (r.uniform(0.4, 0.66), 0.0)])]
    if kind == 3:  # drawn like an S
        return [('c', [(0.56, 0.02), (0.24, 0.02), (0.1, 0.2), (0.2, 0.4), (0.46, 0.52), (0.56, 0.74), (0.34, 0.98), (0.0, 0.94)])]
    return [('l', [(0.56, 0.0), (0.08, 0.0), (0.06, 0.46), (0.3, 0.42)]), ('c', [(0.3, 0.42), (0.55, 0.54), (0.55, 0.84), (0.3, 1.0), (0.0, 1.0)])]


def six(r):
    kind = r.integers(4)
    size = r.uniform(0.2, 0.3)
    end = r.uniform(330, 400)
    if kind <= 1:
        loop = arc(0.3, 1 - size, 0.28, size, 180, -end, 9)
        return [('c', [(r.uniform(0.3, 0.58), 0.0), (0.18, 0.24), (0.04, 0.5)] + loop)]
    if kind == 2:
        loop = arc(0.3, 1 - size, 0.26, size, 190, -end, 9)
        return [('c', [(0.54, 0.1), (0.4, 0.0), (0.16, 0.14), (0.03, 0.46)] + loop)]
    return [('l', [(r.uniform(0.1, 0.45), 0.0), (0.04, 0.66)]), ('c', arc(0.3, 1 - size, 0.27, size, 190, -end, 9))]


def seven(r):
    kind = r.integers(6)
    foot = (r.uniform(0.08, 0.34), 1.0)
    top = (r.uniform(0.52, 0.64), r.uniform(-0.03, 0.05))
    if kind <= 1:
        strokes = [('l', [(0.0, 0.02), top, foot])]
    elif kind == 2:
        strokes = [('l', [(0.0, r.uniform(0.1, 0.2)), (0.02, 0.02), top, foot])]
    elif kind == 3:
        strokes = [('l', [(0.0, 0.02), top]), ('c', [top, (0.42, 0.32), (0.3, 0.64), foot])]
    elif kind == 4:
        strokes = [('c', [(0.0, 0.12), (0.1, 0.02), (0.34, 0.08), top]), ('l', [top, foot])]
    else:
        strokes = [('c', [(0.0, 0.04), (0.3, 0.0), (0.54, 0.03), (0.58, 0.12), (0.42, 0.45), foot])]
    if r.random() < 0.35:
        y = r.uniform(0.42, 0.6)
        strokes.append(('l', [(0.12, y), (0.58, y + r.uniform(-0.05, 0.03))]))
    return strokes


def eight(r):
    kind = r.integers(4)
    if kind <= 1:
        return [('c', [(0.52, 0.14), (0.3, 0.0), (0.08, 0.16), (0.2, 0.4), (0.44, 0.58), (0.58, 0.8), (0.3, 1.0), (0.02, 0.8),
                       (0.16, 0.58), (0.4, 0.4), (0.54, 0.2), (r.uniform(0.4, 0.52), r.uniform(0.0, 0.14))])]
    waist = r.uniform(0.4, 0.52)
    top, low = waist / 2, (1 - waist) / 2
    if kind == 2:
        return [('c', arc(0.3, top, r.uniform(0.18, 0.27), top, 90, 365, 10)), ('c', arc(0.3, waist + low, r.uniform(0.22, 0.33), low, -90, 365, 10))]
    return [('c', [(0.56, 0.04), (0.3, 0.0), (0.1, 0.2), (0.3, 0.44), (0.52, 0.7), (0.32, 1.0), (0.06, 0.8), (0.26, 0.52), (0.58, 0.06)])]


def nine(r):
    kind = r.integers(5)
    size = r.uniform(0.2, 0.3)
    loop = arc(0.29, size, r.uniform(0.2, 0.29), size, r.uniform(-50, 0), -r.uniform(330, 380), 10)
    if kind <= 1:
        return [('c', loop), ('l', [(0.56, r.uniform(0.0, 0.22)), (r.uniform(0.3, 0.56), 1.0)])]
    if kind == 2:
        return [('c', loop), ('c', [(0.56, 0.12), (0.55, 0.5), (0.48, 0.88), (0.26, 1.0), (0.02, r.uniform(0.84, 0.96))])]
    if kind == 3:  # one line
        return [('c', arc(0.29, size, 0.27, size, -20, -340, 10) + [(0.54, 0.36), (0.48, 0.7), (r.uniform(0.15, 0.45), 1.0)])]
    return [('c', [(0.54, 0.1), (0.28, 0.0), (0.03, 0.26), (0.22, 0.5), (0.5, 0.32), (0.56, 0.12)]), ('l', [(0.56, 0.1), (0.5, 1.0)])]


DIGITS = [zero, one, two, three, four, five, six, seven, eight, nine]


def smooth(points, per_piece):
    """Catmull-Rom curve through the points."""
    p = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, per_piece, endpoint=False)[:, None]
    out = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:]):
        out.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.vstack(out + [points[-1:]])


def skeleton(digit, r):
    """One jittered digit: segments [SEGMENTS, 2, 2] in unit boxes, longest side 1, centred on its box."""
    jitter = r.uniform(0.005, 0.045)
    strokes = []
    for kind, points in DIGITS[digit](r):
        points = np.asarray(points, float)
        points = points + r.normal(0, jitter, points.shape)
        if kind == 'c':
            points = smooth(points, 3)
        strokes.append(points)
    slant, turn = r.normal(0, 0.16), math.radians(r.normal(0, 7))
    width = math.exp(r.normal(0.05, 0.2))
    bend = r.uniform(0.75, 1.35)  # moves the waist up or down
    wave, phase = r.normal(0, 0.02, 2), r.uniform(0, 6.28, 2)
    cos, sin = math.cos(turn), math.sin(turn)
    segments = []
    for points in strokes:
        x, y = points[:, 0] - 0.3, np.clip(points[:, 1], 0, None) ** bend
        x, y = x * width + wave[0] * np.sin(5 * y + phase[0]), y + wave[1] * np.sin(5 * x + phase[1])
        x = x - slant * (y - 0.5)
        points = np.stack([cos * x - sin * y, sin * x + cos * y], 1)
        segments += list(zip(points[:-1], points[1:]))
    segments = np.asarray(segments)[:SEGMENTS]
    low, high = segments.min((0, 1)), segments.max((0, 1))
    segments = (segments - (low + high) / 2) / max(high - low)
    pad = np.repeat(segments[-1:, 1:], 2, 1)
    return np.concatenate([segments, np.repeat(pad, SEGMENTS - len(segments), 0)])


def draw(segments, radius, size=28):
    """Segments in pixels [n, s, 2, 2], pen radius per end [n, s, 2] -> images [n, 1, size, size]."""
    a, d = segments[:, :, 0], segments[:, :, 1] - segments[:, :, 0]
    length2 = np.maximum((d * d).sum(-1), 1e-6)
    grid = np.arange(size, dtype=np.float32) + 0.5
    px, py = np.tile(grid, size), np.repeat(grid, size)
    best = np.full((len(segments), size * size), -9, np.float32)
    for s in range(segments.shape[1]):  # one segment of all images at a time keeps memory small
        x, y = px - a[:, s, 0, None], py - a[:, s, 1, None]
        dx, dy = d[:, s, 0, None], d[:, s, 1, None]
        t = np.clip((x * dx + y * dy) / length2[:, s, None], 0, 1)
        x -= t * dx
        y -= t * dy
        r0, r1 = radius[:, s, 0, None], radius[:, s, 1, None]
        np.maximum(best, r0 + (r1 - r0) * t - np.sqrt(x * x + y * y), out=best)
    return np.clip(best + 0.5, 0, 1).reshape(-1, 1, size, size)


def drawings(count, seed, longest=20):
    """count drawn digits, centre of mass in the middle: images [count, 1, 28, 28], labels [count]."""
    r = np.random.default_rng(seed)
    labels, images = np.arange(count) % 10, []
    grid = np.arange(28, dtype=np.float32) + 0.5
    for start in range(0, count, 512):
        part = labels[start:start + 512]
        n = len(part)
        segments = np.stack([skeleton(digit, r) for digit in part]).astype(np.float32)
        pen = np.clip(np.exp(r.normal(math.log(1.25), 0.38, (n, 1, 1))), 0.5, 2.8)
        ends = 1 + r.normal(0, 0.12, (n, SEGMENTS + 1)) * r.integers(0, 2, (n, 1))  # half the pens press evenly
        radius = (pen * np.stack([ends[:, :-1], ends[:, 1:]], 2)).astype(np.float32)
        segments = segments * (longest - 2 * pen[..., None]).astype(np.float32) + 14
        image = draw(segments, radius)[:, 0]
        mass = image.sum((1, 2))
        centre = np.stack([(image.sum(1) * grid).sum(1) / mass, (image.sum(2) * grid).sum(1) / mass], 1)
        images.append(draw(segments + (14 - centre)[:, None, None], radius))
    return np.concatenate(images), labels
