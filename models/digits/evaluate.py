"""Scores digits.onnx with onnxruntime on drawings and images that training never saw.

Alone: python3 evaluate.py. publish.py writes the figures into model.json.
"""
import os
import pathlib
import sys
import tempfile

import numpy as np
import onnxruntime

import data
import render
import strokes

HERE = pathlib.Path(__file__).parent


def open_model(model=HERE / 'digits.onnx'):
    """An onnxruntime session. Debian's build shares libonnx, finds every schema registered already and
    prints some 570 harmless "Schema error" lines with its first session: they are held back here."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    screen = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            return onnxruntime.InferenceSession(str(model), options, providers=['CPUExecutionProvider'])
        finally:
            os.dup2(screen, 2)
            os.close(screen)
            log.seek(0)
            for line in log:
                if line.strip() and not line.startswith(b'Schema error: '):
                    sys.stderr.buffer.write(line)


def answers(session, images):
    return np.concatenate([session.run(['logits'], {'image': x[None]})[0] for x in images])


def score(session, show=False):
    """Accuracy per set. Only heldOut decides whether training passed; the others are for honesty."""
    sets = {
        'heldOut': data.real()[2:],
        'rendered': render.drawings(2000, seed=987654),
        'drawn': strokes.drawn(),
        'drawnThinPen': strokes.drawn(pen=6),
        'drawnThickPen': strokes.drawn(pen=32),
        'drawnNotNormalised': strokes.drawn(prepare=strokes.shrink),
        'drawnVaried': strokes.varied(),
        'drawnVariedNotNormalised': strokes.varied(prepare=strokes.shrink),
    }
    result = {}
    for name, (x, y) in sets.items():
        logits = answers(session, x)
        wrong = np.where(logits.argmax(1) != y)[0]
        result[name] = {'images': len(y), 'accuracy': round(1 - len(wrong) / len(y), 4)}
        if show:
            misses = ', '.join(f'#{i} {y[i]} as {logits[i].argmax()}' for i in wrong[:12])
            print(f'{name:24} {len(y):5} images  {100 * result[name]["accuracy"]:6.2f} %  {misses}', flush=True)
    return result


if __name__ == '__main__':
    score(open_model(), show=True)
