"""The nets of the benchmark (harness/bench/nets.mjs). A name is a net and how it is asked for:

    resnet50            as it is: 1 x 3 x 224 x 224, or 128 tokens
    resnet50-s160       another size of the image
    encoder-l512        another number of tokens
    resnet50-b8         another batch
    resnet50-w200       widened: 200 % of the channels
"""
import math
import re

import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models as tv

from export import Model


class Encoder(nn.Module):
    """The shape of MiniLM-L6: token ids and a mask to the last hidden state; post-norm, GELU by erf."""

    def __init__(self, layers=6, width=384, heads=12, words=30522, positions=512):
        super().__init__()
        self.heads = heads
        self.word, self.position = nn.Embedding(words, width), nn.Embedding(positions, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.register_buffer('order', torch.arange(positions)[None])
        self.layers = nn.ModuleList(nn.ModuleDict({
            'q': nn.Linear(width, width), 'k': nn.Linear(width, width), 'v': nn.Linear(width, width),
            'o': nn.Linear(width, width), 'n1': nn.LayerNorm(width, eps=1e-12),
            'up': nn.Linear(width, 4 * width), 'down': nn.Linear(4 * width, width),
            'n2': nn.LayerNorm(width, eps=1e-12)}) for _ in range(layers))

    def split(self, x):
        batch, length, width = x.shape
        return x.view(batch, length, self.heads, width // self.heads).permute(0, 2, 1, 3)

    def forward(self, input_ids, attention_mask):
        x = self.norm(self.word(input_ids) + self.position(self.order[:, :input_ids.shape[1]]))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -10000.0
        for layer in self.layers:
            q, k, v = (self.split(layer[name](x)) for name in 'qkv')
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
            attended = (scores.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(x.shape)
            x = layer['n1'](x + layer['o'](attended))
            x = layer['n2'](x + layer['down'](F.gelu(layer['up'](x))))
        return x


def encoder(batch, length=128, width=100):
    net = Encoder(width=384 * width // 100)

    def tokens():
        kept = length - torch.arange(batch)[:, None] % 4 * (length // 8) - length // 16
        return {'input_ids': torch.randint(30522, (batch, length)),
                'attention_mask': (torch.arange(length)[None] < kept).long()}
    return Model(net, [tokens(), tokens()], ['last_hidden_state'])


class Classifier:
    """A net of torchvision; `widen` says how its channels are multiplied."""

    def __init__(self, build, widen):
        self.build, self.widen = build, widen

    def __call__(self, batch, size=224, width=100):
        net = self.build(weights=None, **(self.widen(width) if width != 100 else {}))
        image = torch.randn(batch, 3, size, size)
        return Model(net, [{'image': image}, {'image': torch.randn_like(image) * 0.3 + 0.5}], ['logits'],
                     calibrate=(torch.randn(4, 3, size, size),))


def no_width(_):
    raise SystemExit('this net has no width to choose')


NETS = {
    'mobilenet_v2': Classifier(tv.mobilenet_v2, lambda percent: {'width_mult': percent / 100}),
    'mobilenet_v3_small': Classifier(tv.mobilenet_v3_small, no_width),
    'efficientnet_b0': Classifier(tv.efficientnet_b0, no_width),
    'resnet18': Classifier(tv.resnet18, no_width),
    'resnet50': Classifier(tv.resnet50, lambda percent: {'width_per_group': 64 * percent // 100}),
    'squeezenet1_1': Classifier(tv.squeezenet1_1, no_width),
    'encoder': encoder,
}


class Models:
    """MODELS[name], where a name has its sizes in it."""

    def __getitem__(self, name):
        net, *asked = name.split('-')
        sizes = {'batch': 1}
        for part in asked:
            letter, number = re.fullmatch(r'([slbw])(\d+)', part).groups()
            sizes[{'s': 'size', 'l': 'length', 'b': 'batch', 'w': 'width'}[letter]] = int(number)
        return lambda: NETS[net](**sizes)


MODELS = Models()
