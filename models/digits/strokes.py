"""The drawings of strokes.json as images: as the page draws them, normalised or not, and varied."""
import json
import math
import pathlib

import numpy as np
from PIL import Image, ImageDraw

import data

BOOK = json.loads((pathlib.Path(__file__).parent / 'strokes.json').read_text())


def canvas(drawing, size, pen=None):
    """A drawing of strokes.json as the page draws it: round white pen on black, 0..1."""
    wide = 2  # drawn twice as large and halved: PIL has no anti-aliasing
    image = Image.new('L', (size * wide, size * wide))
    brush, r = ImageDraw.Draw(image), (pen or drawing['pen']) * wide / 2
    for stroke in drawing['strokes']:
        points = [(x * wide, y * wide) for x, y in stroke]
        brush.line(points, fill=255, width=round(2 * r), joint='curve')
        for x, y in points:
            brush.ellipse((x - r, y - r, x + r, y + r), fill=255)
    return np.asarray(image.resize((size, size), Image.BOX), np.float32) / 255


def shrink(image):
    """Straight to 28x28, not normalised: what a caller gets who skips that step."""
    return np.asarray(Image.fromarray(image).resize((28, 28), Image.BILINEAR)).clip(0, 1)


def images_of(drawings, pen, prepare):
    images = [prepare(canvas(d, BOOK['canvas'], pen)) for d in drawings]
    return np.stack(images)[:, None].astype(np.float32), np.array([d['label'] for d in drawings])


def drawn(pen=None, prepare=data.normalise):
    """All drawings, one image each: images [n, 1, 28, 28], labels [n]."""
    return images_of(BOOK['drawings'], pen, prepare)


def varied(times=20, prepare=data.normalise):
    """Each drawing turned, stretched, slanted and shaken in many ways, some past recognition."""
    r, drawings, middle = np.random.default_rng(5), [], BOOK['canvas'] / 2
    for drawing in BOOK['drawings'] * times:
        angle, stretch, slant = math.radians(r.normal(0, 15)), np.exp(r.normal(0, 0.15, 2)), r.normal(0, 0.15)
        cos, sin = math.cos(angle), math.sin(angle)
        matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[stretch[0], slant], [0, stretch[1]]])
        strokes = [((np.array(s) - middle) @ matrix.T + middle + r.normal(0, 7, (len(s), 2))).tolist()
                   for s in drawing['strokes']]
        drawings.append({'label': drawing['label'], 'pen': r.uniform(7, 30), 'strokes': strokes})
    return images_of(drawings, None, prepare)
