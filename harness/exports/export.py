"""Exports one model with torch.onnx.export and writes what PyTorch itself answers. See README.md.

    python3 export.py FAMILY NAME FOLDER     FAMILY is a file beside this one, NAME a row of its MODELS

FOLDER gets model.onnx and cases.json: per case the inputs, the dims, and the wanted outputs as .npy files.
Weights are random with a fixed seed, and so that errors show: see randomise().
"""
import dataclasses
import importlib
import json
import pathlib
import sys
import warnings
import zlib

import numpy as np
import torch
from torch import nn

NORMS = (nn.modules.batchnorm._BatchNorm,)


@dataclasses.dataclass
class Model:
    """What a row of MODELS builds. Cases map input names to tensors; a string instead of a tensor names
    the output of the case before that is fed back: {'past': '=present'}."""
    net: nn.Module
    cases: list
    outputs: list
    opset: int = 17
    dynamic: dict = dataclasses.field(default_factory=dict)  # input -> {axis: name}
    ranges: dict = dataclasses.field(default_factory=dict)   # name -> [least, most]
    calibrate: tuple = ()                                    # inputs for the statistics of batch norms
    tolerance: float = 1e-4                                  # of the range of each output


def randomise(net):
    """Every parameter that starts as a constant gets values: a bias of 0 or a scale of 1 that is lost on the
    way would not be seen, and layer scales of 1e-6 or zeroed heads would hide whole blocks."""
    for name, p in net.named_parameters():
        if p.numel() > 1 and p.std() > 1e-5:
            continue
        last = name.rsplit('.', 1)[-1]
        if 'bias' in last:
            nn.init.normal_(p, 0, 0.1)
        elif 'scale' in last:
            nn.init.uniform_(p, 0.2, 0.6)
        elif p.dim() <= 1:
            nn.init.uniform_(p, 0.5, 1.5)
        else:
            nn.init.normal_(p, 0, p[0].numel() ** -0.5)


def calibrate(net, inputs):
    """Running statistics as training would leave them: averages over random batches, not 0 and 1."""
    norms = [m for m in net.modules() if isinstance(m, NORMS)]
    if not norms:
        return
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # plain averages
    net.train()
    for m in net.modules():
        if isinstance(m, (nn.Dropout, nn.Dropout2d)):
            m.eval()
    for _ in range(2):
        net(*[torch.randn_like(x) if x.is_floating_point() else x for x in inputs])
    net.eval()


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [one for part in (value.values() if isinstance(value, dict) else value) for one in flat(part)]


def answers(model):
    """PyTorch's outputs of every case, in order, with what is fed back put in."""
    before = {}
    for case in model.cases:
        feeds = [before[x[1:]] if isinstance(x, str) else x for x in case.values()]
        before = dict(zip(model.outputs, flat(model.net(*feeds)), strict=True))
        yield feeds, before


def sizes(model, case, feeds):
    """The value of every symbolic dim in one case."""
    shapes = dict(zip(case, feeds))
    return {dim: shapes[name].shape[axis]
            for name, axes in model.dynamic.items() if name in shapes for axis, dim in axes.items()}


def save(folder, name, tensor):
    np.save(folder / name, tensor.numpy())
    return name


def write_cases(model, folder):
    rows, first = [], None
    for i, (case, (feeds, outputs)) in enumerate(zip(model.cases, answers(model))):
        rows.append({
            'dims': sizes(model, case, feeds),
            'inputs': {name: {'carry': case[name][1:]} if isinstance(case[name], str)
                       else {'file': save(folder, f'{i}-in-{j}.npy', x)}
                       for j, (name, x) in enumerate(zip(case, feeds))},
            'outputs': {name: {'file': save(folder, f'{i}-out-{j}.npy', x)}
                        for j, (name, x) in enumerate(outputs.items())}})
        first = first or outputs
        last = outputs
    # A net that answers the same to everything would pass with its inputs mixed up.
    moved = [(first[n] - last[n]).abs().max() / (first[n].max() - first[n].min()) for n in first
             if first[n].is_floating_point() and first[n].shape == last[n].shape and first[n].numel() > 1]
    if moved and max(moved) < 0.01:
        sys.exit(f'outputs hardly depend on the inputs: {float(max(moved)):.2g} of their range')
    meta = {'tolerance': model.tolerance, 'ranges': model.ranges, 'cases': rows}
    (folder / 'cases.json').write_text(json.dumps(meta, indent=1))


def export(model, folder):
    *_, (feeds, _) = answers(model)  # the last case: a cache has something in it by then
    names = list(model.cases[0])
    torch.onnx.export(
        model.net, tuple(feeds), str(folder / 'model.onnx'), dynamo=False, opset_version=model.opset,
        input_names=names, output_names=model.outputs, dynamic_axes=model.dynamic or None)


def main():
    family, name, folder = sys.argv[1:]
    torch.set_num_threads(1)  # waiting for threads costs more than they give on a busy machine
    torch.manual_seed(zlib.crc32(name.encode()))
    warnings.filterwarnings('ignore')
    with torch.no_grad():
        torch.backends.mha.set_fastpath_enabled(False)  # fused kernels of torch's own have no ONNX form
        model = importlib.import_module(family).MODELS[name]()
        randomise(model.net)
        calibrate(model.net, model.calibrate)
        model.net.eval()
        write_cases(model, pathlib.Path(folder))
        export(model, pathlib.Path(folder))


if __name__ == '__main__':
    main()
