"""Detectors. Those that end in NonMaxSuppression come twice: as far as scores and boxes, and whole."""
import torch
from torch import nn
from torchvision import models as tv
from torchvision import ops

from export import Model


def photo(size=320):
    return torch.rand(1, 3, size, size)


class BeforeNms(nn.Module):
    """Scores and decoded boxes of every anchor of a torchvision SSD."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        images, _ = self.net.transform(list(image))
        features = list(self.net.backbone(images.tensors).values())
        head = self.net.head(features)
        anchors = self.net.anchor_generator(images, features)[0]
        boxes = self.net.box_coder.decode_single(head['bbox_regression'][0], anchors)
        return head['cls_logits'][0].softmax(-1), ops.clip_boxes_to_image(boxes, images.image_sizes[0])


class Whole(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        found = self.net(list(image))[0]
        return found['boxes'], found['scores'], found['labels']


class Trained(nn.Module):
    """Detectors in train mode want targets; batch norms see images through the backbone instead."""

    def __init__(self, net, inner):
        super().__init__()
        self.net, self.inner = net, [inner]

    def forward(self, image):
        return self.inner[0].backbone(image) if self.training else self.net(image)


def ssdlite(wrap, outputs):
    def make():
        inner = tv.detection.ssdlite320_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=12, detections_per_img=40, topk_candidates=60)
        return Model(Trained(wrap(inner), inner), [{'image': photo()}, {'image': photo() * photo()}], outputs,
                     calibrate=(torch.rand(2, 3, 320, 320),))
    return make


class Yolo(nn.Module):
    """One grid, one anchor a cell; suppression is in the graph, and with `most` a cut after so many boxes."""

    def __init__(self, whole, most, classes=4, width=24):
        super().__init__()
        self.whole, self.most = whole, most
        layers = []
        for i, o in zip([3, width, 2 * width], [width, 2 * width, 3 * width]):
            layers += [nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.pool = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9))
        self.head = nn.Conv2d(9 * width, 5 + classes, 1)

    def forward(self, image):
        x = self.body(image)
        x = self.head(torch.cat([x, *(pool(x) for pool in self.pool)], 1)).flatten(2).transpose(1, 2)[0]
        side = image.shape[-1] // 8
        y0, x0 = torch.meshgrid(torch.arange(side), torch.arange(side), indexing='ij')
        centre = (torch.stack([x0, y0], -1).view(-1, 2) + x[:, :2].sigmoid()) * 8
        size = x[:, 2:4].clamp(max=4).exp() * 16
        boxes = torch.cat([centre - size / 2, centre + size / 2], -1)
        scores, labels = (x[:, 4:5].sigmoid() * x[:, 5:].softmax(-1)).max(-1)
        if not self.whole:
            return boxes, scores, labels
        keep = ops.nms(boxes, scores, 0.5)[:self.most]
        return boxes[keep], scores[keep], labels[keep]


def yolo(whole, most=None):
    def make():
        return Model(Yolo(whole, most), [{'image': photo(128)}, {'image': photo(128)}], ['boxes', 'scores', 'labels'],
                     calibrate=(torch.rand(2, 3, 128, 128),))
    return make


MODELS = {
    'ssdlite320': ssdlite(BeforeNms, ['scores', 'boxes']),
    'yolo': yolo(False),
    'ssdlite320-nms': ssdlite(Whole, ['boxes', 'scores', 'labels']),
    'yolo-nms': yolo(True),
    'yolo-nms-cut': yolo(True, 50),
}
