"""Recurrent networks and other nets over time."""
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from export import Model


class Tagger(nn.Module):
    """Two bidirectional layers over sequences of different lengths, packed."""

    def __init__(self, cell):
        super().__init__()
        self.word = nn.Embedding(200, 48)
        self.rnn = cell(48, 40, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(80, 9)

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.word(words), lengths, batch_first=True)
        x, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=words.shape[1])
        return self.head(x)


def tagger(cell):
    def make():
        cases = [{'words': torch.randint(200, (3, 12)), 'lengths': torch.tensor(lengths)}
                 for lengths in ([12, 9, 4], [12, 12, 1])]
        return Model(Tagger(cell), cases, ['tags'])
    return make


class Stream(nn.Module):
    """One frame at a time with its state outside, as noise suppressors and voice detectors run."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 24, 16, stride=8)
        self.gru = nn.GRU(24, 32, num_layers=2, batch_first=True)
        self.lstm = nn.LSTM(32, 32, batch_first=True)
        self.rnn = nn.RNN(32, 16, batch_first=True, nonlinearity='relu')
        self.head = nn.Linear(16, 1)

    def forward(self, frame, g, h, c, r):
        x = torch.relu(self.conv(frame[:, None])).transpose(1, 2)
        x, g = self.gru(x, g)
        x, (h, c) = self.lstm(x, (h, c))
        x, r = self.rnn(x, r)
        return torch.sigmoid(self.head(x)).amax(1), g, h, c, r


def stream():
    zero = {'g': torch.zeros(2, 1, 32), 'h': torch.zeros(1, 1, 32), 'c': torch.zeros(1, 1, 32), 'r': torch.zeros(1, 1, 16)}
    cases = [{'frame': torch.randn(1, 160), **({name: f'={name}_out' for name in zero} if i else zero)}
             for i in range(5)]
    return Model(Stream(), cases, ['speech', *(f'{name}_out' for name in zero)])


class Block(nn.Module):
    def __init__(self, width, dilation):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(width, 2 * width, 1), nn.PReLU(), nn.GroupNorm(1, 2 * width),
            nn.Conv1d(2 * width, 2 * width, 3, padding=dilation, dilation=dilation, groups=2 * width),
            nn.PReLU(), nn.BatchNorm1d(2 * width), nn.Conv1d(2 * width, width, 1))

    def forward(self, x):
        return x + self.body(x)


class Separator(nn.Module):
    """Luo 2019 (Conv-TasNet): a learned basis, dilated blocks, masks, the basis back."""

    def __init__(self, width=48, voices=2):
        super().__init__()
        self.voices = voices
        self.encode = nn.Conv1d(1, width, 16, stride=8, bias=False)
        self.blocks = nn.Sequential(*(Block(width, 2 ** i) for i in range(5)))
        self.mask = nn.Conv1d(width, voices * width, 1)
        self.decode = nn.ConvTranspose1d(width, 1, 16, stride=8, bias=False)

    def forward(self, audio):
        basis = torch.relu(self.encode(audio[:, None]))
        masks = self.mask(self.blocks(basis)).view(audio.shape[0], self.voices, *basis.shape[1:]).sigmoid()
        voices = (masks * basis[:, None]).flatten(0, 1)
        return self.decode(voices).view(audio.shape[0], self.voices, -1)


def separator():
    return Model(Separator(), [{'audio': torch.randn(2, 1600)} for _ in range(2)], ['voices'],
                 calibrate=(torch.randn(4, 800),))


MODELS = {
    'lstm-tagger': tagger(nn.LSTM),
    'gru-tagger': tagger(nn.GRU),
    'recurrent-stream': stream,
    'conv-tasnet': separator,
}
