"""Image networks of torchvision, and a U-Net and a style network as people write them."""
import torch
from torch import nn
from torchvision import models as tv

from export import Model


def image(size=224, channels=3, batch=1):
    return torch.randn(batch, channels, size, size)


class Picked(nn.Module):
    """The entries of a dict of outputs, in order."""

    def __init__(self, net, keys):
        super().__init__()
        self.net, self.keys = net, keys

    def forward(self, x):
        answer = self.net(x)
        return tuple(answer[key] for key in self.keys)


def classifier(build, size=224, **options):
    def make():
        net = build(weights=None, **options)
        return Model(net, [{'image': image(size)}, {'image': image(size) * 0.3 + 0.5}], ['logits'],
                     calibrate=(image(size, batch=2),))
    return make


def segmenter(build, size, keys, **options):
    def make():
        net = Picked(build(weights=None, weights_backbone=None, **options), keys)
        return Model(net, [{'image': image(size)}, {'image': image(size) * 0.3 + 0.5}], keys,
                     calibrate=(image(size, batch=2),))
    return make


class Double(nn.Sequential):
    def __init__(self, i, o):
        super().__init__(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(True),
                         nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(0.1, True))


class UNet(nn.Module):
    """Ronneberger 2015 with batch norm; up by transposed convolutions or by bilinear resizing; odd sizes are
    padded to meet the skip, as in the widely copied PyTorch version."""

    def __init__(self, bilinear):
        super().__init__()
        widths = [16, 32, 64, 128]
        self.down = nn.ModuleList(Double(i, o) for i, o in zip([3, *widths], widths))
        self.up = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True), nn.Conv2d(o, i, 1))
            if bilinear else nn.ConvTranspose2d(o, i, 2, stride=2) for i, o in zip(widths, widths[1:]))
        self.merge = nn.ModuleList(Double(2 * w, w) for w in widths[:-1])
        self.head = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x):
        kept = []
        for i, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if i else x)
            kept.append(x)
        kept.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge)):
            skip, x = kept.pop(), up(x)
            h, w = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
            x = merge(torch.cat([skip, nn.functional.pad(x, [w // 2, w - w // 2, h // 2, h - h // 2])], 1))
        return self.head(x).softmax(1)


def unet(bilinear):
    def make():
        cases = [{'image': torch.randn(1, 3, 100, 132)} for _ in range(2)]
        return Model(UNet(bilinear), cases, ['mask'], calibrate=(image(96, batch=2),))
    return make


class Style(nn.Module):
    """Johnson 2016: reflection pads, instance norms, nearest resizing; and a pixel shuffle at the end."""

    def __init__(self):
        super().__init__()

        def conv(i, o, k, s=1):
            return nn.Sequential(nn.ReflectionPad2d(k // 2), nn.Conv2d(i, o, k, s), nn.InstanceNorm2d(o, affine=True))
        self.head = nn.Sequential(conv(3, 16, 9), nn.ReLU(), conv(16, 32, 3, 2), nn.PReLU(32), conv(32, 48, 3, 2), nn.ELU())
        self.body = nn.ModuleList(nn.Sequential(conv(48, 48, 3), nn.SiLU(), conv(48, 48, 3), nn.GroupNorm(6, 48))
                                  for _ in range(3))
        self.tail = nn.Sequential(nn.Upsample(scale_factor=2), conv(48, 32, 3), nn.Mish(),
                                  nn.ReplicationPad2d(1), nn.Conv2d(32, 12, 3), nn.PixelShuffle(2), nn.Hardtanh(-2, 2))

    def forward(self, x):
        x = self.head(x)
        for block in self.body:
            x = x + block(x)
        return self.tail(x)


def style():
    return Model(Style(), [{'image': image(96)}, {'image': image(96)}], ['styled'])


MODELS = {
    'resnet18': classifier(tv.resnet18),
    'resnet50': classifier(tv.resnet50),
    'mobilenet-v2': classifier(tv.mobilenet_v2),
    'mobilenet-v3-small': classifier(tv.mobilenet_v3_small),
    'mobilenet-v3-large': classifier(tv.mobilenet_v3_large),
    'efficientnet-b0': classifier(tv.efficientnet_b0),
    'convnext-tiny': classifier(tv.convnext_tiny),
    'vit-b-16': classifier(tv.vit_b_16),
    'swin-t': classifier(tv.swin_t),
    'swin-v2-t': classifier(tv.swin_v2_t, 256),
    'maxvit-t': classifier(tv.maxvit_t),
    'regnet-y-400mf': classifier(tv.regnet_y_400mf),
    'shufflenet-v2': classifier(tv.shufflenet_v2_x1_0),
    'squeezenet1.1': classifier(tv.squeezenet1_1),
    'mnasnet': classifier(tv.mnasnet1_0),
    'densenet121': classifier(tv.densenet121),
    'inception-v3': classifier(tv.inception_v3, 299, aux_logits=False, init_weights=False),
    'googlenet': classifier(tv.googlenet, aux_logits=False, init_weights=False),
    'alexnet': classifier(tv.alexnet),
    'deeplab-v3-mobilenet': segmenter(tv.segmentation.deeplabv3_mobilenet_v3_large, 225, ['out', 'aux'], aux_loss=True),
    'lraspp': segmenter(tv.segmentation.lraspp_mobilenet_v3_large, 256, ['out']),
    'fcn-resnet50': segmenter(tv.segmentation.fcn_resnet50, 129, ['out']),
    'unet-transposed': unet(False),
    'unet-bilinear': unet(True),
    'style': style,
}
