"""Second half of training: scores digits.onnx and writes samples/ and model.json. train.py runs it.

Exits 1 if fewer than 97 % of the untouched held-out digits are right, if onnxruntime's answers
differ from torch's (golden/), or if the file has grown too large.
"""
import argparse
import hashlib
import json
import pathlib
import sys

import numpy as np
from PIL import Image

import data
import evaluate
import strokes

HERE = pathlib.Path(__file__).parent
WANTED, MAX_DIFFERENCE, MAX_BYTES = 0.97, 1e-4, 150_000


def save_png(path, image):
    Image.fromarray((image * 255).round().astype(np.uint8)).save(path, optimize=True)


def write_samples(session):
    """One held-out digit per class, and drawings as the canvas gives them (280x280, not normalised)."""
    folder, listed = HERE / 'samples', []
    folder.mkdir(exist_ok=True)
    _, _, images, labels = data.real()
    guess = evaluate.answers(session, images).argmax(1)
    for digit in range(10):
        right = np.where((labels == digit) & (guess == digit))[0]
        if len(right):
            save_png(folder / f'real-{digit}.png', images[right[0], 0])
            listed.append({'file': f'samples/real-{digit}.png', 'label': digit, 'normalised': True})
    for digit in (2, 5, 8):
        drawing = next(d for d in strokes.BOOK['drawings'] if d['label'] == digit)
        save_png(folder / f'drawn-{digit}.png', strokes.canvas(drawing, strokes.BOOK['canvas']))
        listed.append({'file': f'samples/drawn-{digit}.png', 'label': digit, 'normalised': False})
    return listed


def difference(session):
    """The largest distance between onnxruntime's answers and torch's."""
    worst = 0.0
    for folder in sorted((HERE / 'golden').iterdir()):
        output = session.run(['logits'], {'image': np.load(folder / 'input.npy')})[0]
        worst = max(worst, float(np.abs(output - np.load(folder / 'output.npy')).max()))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('seed', 'steps', 'parameters'):
        parser.add_argument(f'--{name}', type=int, required=True)
    trained = parser.parse_args()
    session = evaluate.open_model()
    scores = evaluate.score(session, show=True)
    worst = difference(session)
    blob = (HERE / 'digits.onnx').read_bytes()
    accuracy = scores['heldOut']['accuracy']
    (HERE / 'model.json').write_text(json.dumps({
        'name': 'digits', 'file': 'digits.onnx', 'bytes': len(blob), 'sha256': hashlib.sha256(blob).hexdigest(),
        'parameters': trained.parameters, 'seed': trained.seed, 'steps': trained.steps,
        'input': {'name': 'image', 'dtype': 'float32', 'dims': [1, 1, 28, 28]},
        'output': {'name': 'logits', 'dtype': 'float32', 'dims': [1, 10]},
        'labels': [str(digit) for digit in range(10)],
        'preprocessing': {
            'size': 28, 'channels': 'grayscale', 'layout': 'NCHW', 'mean': 0, 'std': 1, 'range': [0, 1],
            'ink': 'white-on-black',
            'normalise': {'inkThreshold': data.INK, 'longestSide': data.SIDE, 'centre': 'mass'}},
        'testAccuracy': accuracy, 'accuracy': scores,
        'golden': sorted(folder.name for folder in (HERE / 'golden').iterdir()),
        'samples': write_samples(session),
        'data': 'scikit-learn digits (UCI Optical Recognition of Handwritten Digits, CC BY 4.0) and rendered strokes',
    }, indent=2) + '\n')
    print(f'digits.onnx: {len(blob)} bytes, onnxruntime and torch differ by at most {worst:.1e}')
    print(f'test accuracy {100 * accuracy:.2f} % on {scores["heldOut"]["images"]} held-out digits')
    if accuracy < WANTED or worst > MAX_DIFFERENCE or len(blob) > MAX_BYTES:
        sys.exit(f'error: digits: want accuracy >= {WANTED}, difference <= {MAX_DIFFERENCE}, size <= {MAX_BYTES} bytes')


if __name__ == '__main__':
    main()
