"""Encoders and decoders written as plain torch modules, the way they are commonly shipped."""
import math

import torch
from torch import nn
from torch.nn import functional as F

from export import Model


class Bert(nn.Module):
    """Devlin 2018: word, position and type embeddings, post-norm layers, a pooled output."""

    def __init__(self, layers=4, width=256, heads=4, words=3000, positions=128):
        super().__init__()
        self.heads = heads
        self.word, self.position, self.kind = (nn.Embedding(n, width) for n in (words, positions, 2))
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.register_buffer('order', torch.arange(positions)[None])
        self.layers = nn.ModuleList(nn.ModuleDict({
            'q': nn.Linear(width, width), 'k': nn.Linear(width, width), 'v': nn.Linear(width, width),
            'o': nn.Linear(width, width), 'n1': nn.LayerNorm(width, eps=1e-12),
            'up': nn.Linear(width, 4 * width), 'down': nn.Linear(4 * width, width),
            'n2': nn.LayerNorm(width, eps=1e-12)}) for _ in range(layers))
        self.pooler = nn.Linear(width, width)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).permute(0, 2, 1, 3)

    def forward(self, input_ids, attention_mask, token_type_ids):
        x = self.word(input_ids) + self.kind(token_type_ids) + self.position(self.order[:, :input_ids.shape[1]])
        x = self.norm(x)
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for layer in self.layers:
            q, k, v = (self.split(layer[name](x)) for name in 'qkv')
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
            attended = (scores.softmax(-1) @ v).permute(0, 2, 1, 3).contiguous()
            x = layer['n1'](x + layer['o'](attended.view(attended.shape[:-2] + (-1,))))
            x = layer['n2'](x + layer['down'](F.gelu(layer['up'](x))))
        return x, torch.tanh(self.pooler(x[:, 0]))


def tokens(batch, length, words=3000):
    kept = torch.full((batch, 1), length) - torch.arange(batch)[:, None] * 5
    mask = (torch.arange(length)[None] < kept).long()
    return {'input_ids': torch.randint(words, (batch, length)), 'attention_mask': mask,
            'token_type_ids': (torch.arange(length)[None] > length // 2).long().expand(batch, length).contiguous()}


def bert(opset):
    def make():
        axes = {0: 'batch', 1: 'sequence'}
        return Model(Bert(), [tokens(2, 32), tokens(2, 32), tokens(1, 17), tokens(3, 48)],
                     ['last_hidden_state', 'pooler_output'], opset=opset,
                     dynamic={'input_ids': axes, 'attention_mask': axes, 'token_type_ids': axes,
                              'last_hidden_state': axes, 'pooler_output': {0: 'batch'}},
                     ranges={'batch': [1, 4], 'sequence': [1, 64]})
    return make


class GptLayer(nn.Module):
    """One pre-norm layer; `attend` joins keys and values with the cache."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, join, mask):
        b, s, w = x.shape
        q, k, v = (t.view(b, s, self.heads, w // self.heads).transpose(1, 2)
                   for t in self.qkv(self.n1(x)).split(w, dim=2))
        k, v = join(k, v)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(y.transpose(1, 2).reshape(b, s, w))
        return x + self.down(F.gelu(self.up(self.n2(x)), approximate='tanh')), k, v


class Gpt(nn.Module):
    def __init__(self, layers=3, width=192, heads=6, words=2000, positions=64):
        super().__init__()
        self.word, self.position = nn.Embedding(words, width), nn.Embedding(positions, width)
        self.layers = nn.ModuleList(GptLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.shape = (layers, 1, heads, positions, width // heads)

    def logits(self, x):
        return self.norm(x) @ self.word.weight.t()


class GptFixed(Gpt):
    """The cache has all positions from the start; one token is written at `position`."""

    def forward(self, token, position, past_key, past_value):
        x = self.word(token) + self.position(position)
        seen = torch.arange(self.shape[3]) <= position
        keys, values = [], []
        for i, layer in enumerate(self.layers):
            def join(k, v, i=i):
                return (past_key[i].index_copy(2, position, k), past_value[i].index_copy(2, position, v))
            x, k, v = layer(x, join, seen[None, None, None])
            keys.append(k)
            values.append(v)
        return self.logits(x), torch.stack(keys), torch.stack(values)


def gpt_fixed():
    net = Gpt().shape
    empty = torch.zeros(net)
    cases = [{'token': torch.randint(2000, (1, 1)), 'position': torch.tensor([i]),
              'past_key': '=present_key' if i else empty, 'past_value': '=present_value' if i else empty}
             for i in range(6)]
    return Model(GptFixed(), cases, ['logits', 'present_key', 'present_value'])


class GptGrowing(Gpt):
    """The cache grows by what is fed: a prompt at first, one token at a time later. An input and an output
    per layer and kind, as in the exports of language models that are passed around."""

    def forward(self, input_ids, *past):
        seen, fed = past[0].shape[2], input_ids.shape[1]
        at = torch.arange(seen, seen + fed, device=input_ids.device)
        x = self.word(input_ids) + self.position(at)
        mask = (torch.arange(seen + fed)[None] <= at[:, None])[None, None]
        present = []
        for i, layer in enumerate(self.layers):
            def join(k, v, i=i):
                return torch.cat([past[2 * i], k], 2), torch.cat([past[2 * i + 1], v], 2)
            x, k, v = layer(x, join, mask)
            present += [k, v]
        return (self.logits(x), *present)


def caches(net, prefix):
    return [f'{prefix}.{i}.{kind}' for i in range(net.shape[0]) for kind in ('key', 'value')]


def growing(build):
    def make():
        net = build()
        past, present = caches(net, 'past'), caches(net, 'present')
        empty = torch.zeros(1, net.shape[2], 0, net.shape[4])
        fed = {name: '=' + other for name, other in zip(past, present)}
        cases = [{'input_ids': torch.randint(2000, (1, 7)), **dict.fromkeys(past, empty)},
                 *({'input_ids': torch.randint(2000, (1, 1)), **fed} for _ in range(4)),
                 {'input_ids': torch.randint(2000, (1, 3)), **fed}]
        axes = {'input_ids': {1: 'sequence'}, 'logits': {1: 'sequence'},
                **{name: {2: 'past'} for name in past}, **{name: {2: 'total'} for name in present}}
        return Model(net, cases, ['logits', *present], dynamic=axes,
                     ranges={'sequence': [1, 16], 'past': [0, 48]})
    return make


class LlamaLayer(nn.Module):
    """Root-mean-square norms, rotated positions, fewer heads for keys and values, gated feed-forward."""

    def __init__(self, width, heads, shared):
        super().__init__()
        self.heads, self.shared, self.size = heads, shared, width // heads
        self.n1, self.n2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))
        self.q, self.o = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.k, self.v = (nn.Linear(width, shared * self.size, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(width, 2 * width, bias=False) for _ in range(2))
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x, join, mask, cos, sin):
        b, s, w = x.shape

        def heads(t, count):
            return t.view(b, s, count, self.size).transpose(1, 2)

        def rotated(t):
            a, c = t.chunk(2, -1)
            return t * cos + torch.cat([-c, a], -1) * sin
        y = rms(x, self.n1)
        k, v = join(rotated(heads(self.k(y), self.shared)), heads(self.v(y), self.shared))
        q, times = rotated(heads(self.q(y), self.heads)), self.heads // self.shared
        wide = [t[:, :, None].expand(b, self.shared, times, t.shape[2], self.size)
                .reshape(b, self.heads, t.shape[2], self.size) for t in (k, v)]
        y = F.scaled_dot_product_attention(q, *wide, attn_mask=mask)
        x = x + self.o(y.transpose(1, 2).reshape(b, s, w))
        y = rms(x, self.n2)
        return x + self.down(F.silu(self.gate(y)) * self.up(y)), k, v


def rms(x, scale):
    return scale * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


class Llama(nn.Module):
    def __init__(self, layers=2, width=128, heads=8, shared=2, words=2000):
        super().__init__()
        self.word, self.head = nn.Embedding(words, width), nn.Linear(width, words, bias=False)
        self.layers = nn.ModuleList(LlamaLayer(width, heads, shared) for _ in range(layers))
        self.norm = nn.Parameter(torch.ones(width))
        self.shape = (layers, 1, shared, None, width // heads)
        self.register_buffer('speed', 10000.0 ** (-torch.arange(0, self.shape[4], 2) / self.shape[4]))

    def forward(self, input_ids, *past):
        seen, fed = past[0].shape[2], input_ids.shape[1]
        at = torch.arange(seen, seen + fed)
        angle = at[:, None].float() * self.speed[None]
        angle = torch.cat([angle, angle], -1)
        mask = torch.full((fed, seen + fed), float('-inf')).triu(1 + seen)[None, None]
        x, present = self.word(input_ids), []
        for i, layer in enumerate(self.layers):
            def join(k, v, i=i):
                return torch.cat([past[2 * i], k], 2), torch.cat([past[2 * i + 1], v], 2)
            x, k, v = layer(x, join, mask, angle.cos(), angle.sin())
            present += [k, v]
        return (self.head(rms(x, self.norm)), *present)


class T5Layer(nn.Module):
    """Raffel 2020: relative position buckets instead of positions."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.bias = nn.Embedding(32, heads)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True, bias=False)
        self.norm = nn.Parameter(torch.ones(width))
        self.gate, self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        at = torch.arange(x.shape[1])
        far = at[None] - at[:, None]
        bucket = (far > 0).long() * 16
        far = far.abs()
        large = 8 + (torch.log(far.float() / 8) / math.log(16) * 8).long()
        bucket = bucket + torch.where(far < 8, far, torch.min(large, torch.full_like(large, 15)))
        bias = self.bias(bucket).permute(2, 0, 1).repeat(x.shape[0], 1, 1)
        y = rms(x, self.norm)
        x = x + self.attention(y, y, y, attn_mask=bias, need_weights=False)[0]
        y = rms(x, self.norm)
        return x + self.down(F.gelu(self.gate(y), approximate='tanh') * self.up(y))


def t5():
    net = nn.Sequential(nn.Embedding(1000, 128), T5Layer(128, 4), T5Layer(128, 4))
    cases = [{'input_ids': torch.randint(1000, (2, 24))} for _ in range(2)]
    return Model(net, cases, ['encoded'])


class Wav2Vec(nn.Module):
    """Baevski 2020: convolutions over the waveform, a grouped positional convolution, an encoder, CTC logits."""

    def __init__(self, width=128, layers=2):
        super().__init__()
        steps = [(10, 5), (3, 2), (3, 2), (3, 2), (2, 2)]
        self.convs = nn.ModuleList(nn.Conv1d(64 if i else 1, 64, k, s, bias=False) for i, (k, s) in enumerate(steps))
        self.group = nn.GroupNorm(64, 64)
        self.norm, self.project = nn.LayerNorm(64), nn.Linear(64, width)
        self.positions = nn.utils.parametrizations.weight_norm(nn.Conv1d(width, width, 32, padding=16, groups=8), dim=2)
        self.layers = nn.ModuleList(GptLayer(width, 4) for _ in range(layers))
        self.head = nn.Linear(width, 32)

    def forward(self, audio):
        x = audio[:, None]
        for i, conv in enumerate(self.convs):
            x = conv(x)
            x = F.gelu(self.group(x) if i == 0 else x)
        x = self.project(self.norm(x.transpose(1, 2)))
        x = x + F.gelu(self.positions(x.transpose(1, 2))[..., :-1]).transpose(1, 2)
        for layer in self.layers:
            x = layer(x, lambda k, v: (k, v), None)[0]
        return self.head(x).log_softmax(-1)


def wav2vec():
    cases = [{'audio': torch.randn(1, n)} for n in (8000, 8000, 5000)]
    return Model(Wav2Vec(), cases, ['logits'], dynamic={'audio': {1: 'samples'}, 'logits': {1: 'frames'}},
                 ranges={'samples': [400, 8000]})


MODELS = {
    'bert': bert(17),
    'bert-opset13': bert(13),
    'bert-opset20': bert(20),
    'gpt-fixed': gpt_fixed,
    'gpt': growing(GptGrowing),
    'llama': growing(Llama),
    't5-encoder': t5,
    'wav2vec': wav2vec,
}
