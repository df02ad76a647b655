// Which models there are: names of MODELS in FAMILY.py.

const FAMILIES = {
  vision: [
    'resnet18',
    'resnet50',
    'mobilenet-v2',
    'mobilenet-v3-small',
    'mobilenet-v3-large',
    'efficientnet-b0',
    'convnext-tiny',
    'vit-b-16',
    'swin-t',
    'swin-v2-t',
    'maxvit-t',
    'regnet-y-400mf',
    'shufflenet-v2',
    'squeezenet1.1',
    'mnasnet',
    'densenet121',
    'inception-v3',
    'googlenet',
    'alexnet',
    'deeplab-v3-mobilenet',
    'lraspp',
    'fcn-resnet50',
    'unet-transposed',
    'unet-bilinear',
    'style',
  ],
  transformers: [
    'bert',
    'bert-opset13',
    'bert-opset20',
    'gpt-fixed',
    'gpt',
    'llama',
    't5-encoder',
    'wav2vec',
  ],
  sequences: ['lstm-tagger', 'gru-tagger', 'recurrent-stream', 'conv-tasnet'],
  detectors: ['ssdlite320', 'yolo', 'ssdlite320-nms', 'yolo-nms', 'yolo-nms-cut'],
};

export const MODELS = Object.entries(FAMILIES).flatMap(([family, names]) =>
  names.map((name) => ({ family, name })),
);

/**
 * Run and shown, but not failures yet; one that passes is one. By the first column of the table.
 * @type {Record<string, string>}
 */
export const PENDING = {};
