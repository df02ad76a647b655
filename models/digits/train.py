"""Trains models/digits: a small CNN that reads one handwritten digit. See models/README.md.

    node models/train.mjs            in the project's own environment
    python3 models/digits/train.py   where torch, scikit-learn, onnx, onnxruntime and PIL are installed

Learns from the first four fifths of scikit-learn's digits and from digits that render.py draws,
both augmented anew in every batch. Writes digits.onnx and golden/; publish.py then scores the file,
writes samples/ and model.json, and fails if it is not good enough. About 7 minutes on one core.
"""
import argparse
import pathlib
import subprocess
import sys
import time

import numpy as np
import torch
from torch import nn

import data
import render
import strokes
from augment import augment

HERE = pathlib.Path(__file__).parent
SEED = 20240611
POOL, BATCH, SHARE_REAL = 60000, 128, 0.4  # rendered digits; images per step; how many of them are real


def network():
    """Conv, BatchNorm, Relu, MaxPool, Flatten, Gemm: what a compiler has passes for."""
    def block(inputs, outputs):
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(
        *block(1, 12), nn.MaxPool2d(2),                  # 14
        *block(12, 24), *block(24, 28), nn.MaxPool2d(2),  # 7
        *block(28, 44), nn.MaxPool2d(2),                 # 3
        nn.Flatten(), nn.Linear(44 * 9, 32), nn.ReLU(), nn.Linear(32, 10))


def train(steps):
    torch.manual_seed(SEED)
    g = torch.Generator().manual_seed(SEED + 1)
    images, labels = map(torch.from_numpy, data.real()[:2])
    print(f'rendering {POOL} digits', flush=True)
    pool, pool_labels = map(torch.from_numpy, render.drawings(POOL, SEED + 2))
    net = network()
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.15)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.03)
    real, start, seen = round(BATCH * SHARE_REAL), time.time(), 0.0
    for step in range(1, steps + 1):
        a = torch.randint(len(images), (real,), generator=g)
        b = torch.randint(len(pool), (BATCH - real,), generator=g)
        x = augment(torch.cat([images[a], pool[b]]), g)
        loss = loss_of(net(x), torch.cat([labels[a], pool_labels[b]]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(net)
        seen += loss.item()
        if step % 250 == 0:
            print(f'step {step}/{steps}  loss {seen / 250:.4f}  {time.time() - start:.0f} s', flush=True)
            seen = 0.0
    return average.module.eval()


def export(net, path):
    """PRESERVE keeps the BatchNormalization nodes, so that our own compiler has them to fold."""
    torch.onnx.export(
        net, torch.zeros(1, 1, 28, 28), str(path), dynamo=False, opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
        input_names=['image'], output_names=['logits'])


def write_golden(net):
    """Inputs, and torch's answers to them; publish.py holds the exported file against these."""
    held_out = data.real()[2]
    drawn, labels = strokes.drawn()
    noise = np.random.default_rng(SEED).random((1, 28, 28), np.float32)
    cases = {'real': held_out[0], 'drawn': drawn[np.argmax(labels == 2)],
             'blank': np.zeros_like(noise), 'full': np.ones_like(noise), 'noise': noise}
    for name, image in cases.items():
        folder = HERE / 'golden' / name
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / 'input.npy', image[None])
        np.save(folder / 'output.npy', net(torch.tensor(image[None])).numpy())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--steps', type=int, default=4500)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    net = train(steps)
    with torch.no_grad():
        export(net, HERE / 'digits.onnx')
        write_golden(net)
    parameters = sum(p.numel() for p in net.parameters())
    sys.exit(subprocess.run([sys.executable, HERE / 'publish.py', f'--seed={SEED}', f'--steps={steps}',
                             f'--parameters={parameters}'], check=False).returncode)


if __name__ == '__main__':
    main()
