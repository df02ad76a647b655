"""Real digits as 28x28 images, and the normalising step that the demo repeats."""
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SIDE, INK = 20, 0.2  # longest side of the ink after normalising; what counts as ink, of the maximum


def normalise(image):
    """Any grey image, white on black, 0..1 -> 28x28: ink box scaled to 20, centre of mass in the middle."""
    image = np.asarray(image, np.float32)
    ink = image > INK * image.max() if image.max() > 0 else image > 0
    if not ink.any():
        return np.zeros((28, 28), np.float32)
    rows, columns = np.where(ink.any(1))[0], np.where(ink.any(0))[0]
    crop = image[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    scale = SIDE / max(crop.shape)
    size = [max(1, round(n * scale)) for n in crop.shape]
    crop = np.asarray(Image.fromarray(crop).resize((size[1], size[0]), Image.BILINEAR))
    mass = crop.sum()
    cy = (crop.sum(1) * (np.arange(size[0]) + 0.5)).sum() / mass
    cx = (crop.sum(0) * (np.arange(size[1]) + 0.5)).sum() / mass
    top = min(max(round(14 - cy), 0), 28 - size[0])
    left = min(max(round(14 - cx), 0), 28 - size[1])
    out = np.zeros((28, 28), np.float32)
    out[top:top + size[0], left:left + size[1]] = crop
    return out.clip(0, 1)


def real():
    """scikit-learn's digits, smoothly enlarged: train images, labels, held-out images, labels.

    The set comes in blocks by writer, so the last fifth is held out: mostly hands that training never saw.
    """
    data = load_digits()
    images = []
    for small in data.images.astype(np.float32) / 16:
        small = np.pad(small, 1)
        large = np.asarray(Image.fromarray(small).resize((100, 100), Image.BICUBIC)).clip(0, 1)
        images.append(normalise(large))
    images, labels = np.stack(images)[:, None], data.target
    split = len(labels) - len(labels) // 5
    return images[:split], labels[:split], images[split:], labels[split:]
