"""The two convolutional networks of backbone.py, with the names that their weight files use.

EfficientNet-Lite0 (Tan & Le 2019, arXiv 1905.11946; Lite: no squeeze-and-excitation, ReLU6) and ResNet-50 (He
et al. 2016, arXiv 1512.03385; the stride in the 3 x 3 convolution, as in torchvision). Images are
(image, 3, height, width) float32, prepared as the weights ask for; maps are (image, channel, height, width).
"""

__all__ = ["EfficientNetLite0", "Pretrained", "ResNet50"]

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional as F

from wm.text import nearest

Maps = Iterator[tuple[str, Tensor]]

# repeats, kernel, stride of the first, expansion, channels
_LITE0 = [
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
]  # fmt: skip
_RESNET50 = [(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)]  # repeats, width, stride of the first


class Pretrained(nn.Module):
    """A network that is always in evaluation mode: `train()` leaves BatchNorm with its stored statistics.

    Weights can still be fine-tuned, by `requires_grad_(True)`, alone or within another module.
    """

    stages: tuple[str, ...]
    """names of the maps, in the order of `maps`; the last is `map`"""
    fc: nn.Linear
    """classes of ImageNet from the pooled map"""

    @property
    def taps(self) -> tuple[str, ...]:
        """What `forward` can give."""
        return (*self.stages, "gap", "grid2", "logits")

    def train(self, mode: bool = True) -> "Pretrained":
        """Stay in evaluation mode, whatever `mode`."""
        return super().train(False)

    def maps(self, x: Tensor) -> Maps:
        """Each stage's name and map (image, channel, height, width), computed as far as asked for."""
        raise NotImplementedError

    def forward(self, x: Tensor, tap: str = "map") -> Tensor:
        """The map of a stage, or what is made of the last map: `gap`, `grid2` or `logits`.

        x: (image, 3, height, width). `gap` (image, channel): mean over the map. `grid2` (image, 4 channel):
        means over its quadrants, which share the middle row and column of an odd map, flattened as (channel,
        row, column). `logits` (image, 1000): ImageNet classes.
        Raises ValueError for any other tap.
        """
        if tap not in self.taps:
            raise ValueError(f"{type(self).__name__} has no tap {tap!r}: {nearest(tap, self.taps)}")
        stage = tap if tap in self.stages else "map"
        last = next(value for name, value in self.maps(x) if name == stage)
        match tap:
            case "gap":
                return last.mean((2, 3))
            case "grid2":
                return F.adaptive_avg_pool2d(last, 2).flatten(1)
            case "logits":
                return self.fc(last.mean((2, 3)))
        return last


class _Same(nn.Conv2d):
    """Convolution to ceil(size / stride), an odd number of zeros having one more at the end (TensorFlow)."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if kernel == stride == 1:  # nothing to pad, and no copy of the map
            return F.conv2d(x, self.weight, groups=self.groups)
        height, width = (max(kernel - 1 - (size - 1) % stride, 0) for size in x.shape[2:])
        padded = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.conv2d(padded, self.weight, None, self.stride, groups=self.groups)


def _same(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> _Same:
    return _Same(inputs, outputs, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _Inverted(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project; with a way around it where sizes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        if expansion > 1:
            self.expand_conv, self.bn0 = _same(inputs, inner), _norm(inner)
        self.depthwise_conv, self.bn1 = _same(inner, inner, kernel, stride, inner), _norm(inner)
        self.project_conv, self.bn2 = _same(inner, outputs), _norm(outputs)
        self.expands, self.around = expansion > 1, stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        inner = F.relu6(self.bn1(self.depthwise_conv(inner)))
        projected = self.bn2(self.project_conv(inner))
        return x + projected if self.around else projected


class EfficientNetLite0(Pretrained):
    """EfficientNet-Lite0: stages `stem`, `block0` to `block15`, `map` (image, 1280, 7, 7) for 224 x 224."""

    stages = ("stem", *(f"block{i}" for i in range(16)), "map")

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn0 = _same(3, 32, 3, 2), _norm(32)
        self.blocks, channels = nn.ModuleList(), 32
        for repeats, kernel, stride, expansion, outputs in _LITE0:
            for i in range(repeats):
                self.blocks.append(_Inverted(channels, outputs, kernel, 1 if i else stride, expansion))
                channels = outputs
        self.conv_head, self.bn1 = _same(channels, 1280), _norm(1280)
        self.fc = nn.Linear(1280, 1000)

    def maps(self, x: Tensor) -> Maps:
        """Each stage's name and map."""
        x = F.relu6(self.bn0(self.conv_stem(x)))
        yield "stem", x
        for i, block in enumerate(self.blocks):
            x = block(x)
            yield f"block{i}", x
        yield "map", F.relu6(self.bn1(self.conv_head(x)))


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class _Bottleneck(nn.Module):
    """Bottleneck: reduce, filter, expand fourfold, and add what came in, adapted where sizes differ."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = _conv(inputs, width), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = _conv(width, 4 * width), nn.BatchNorm2d(4 * width)
        if stride > 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(_conv(inputs, 4 * width, 1, stride), nn.BatchNorm2d(4 * width))
        else:
            self.downsample = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(x)))
        inner = F.relu(self.bn2(self.conv2(inner)))
        return F.relu(self.bn3(self.conv3(inner)) + self.downsample(x))


class ResNet50(Pretrained):
    """ResNet-50: stages `stem`, `layer1` to `layer3`, `map` (image, 2048, 7, 7) for 224 x 224.

    `map` is the last ReLU of layer4, `layer4.2.relu` in torchvision's names.
    """

    stages = ("stem", "layer1", "layer2", "layer3", "map")

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, channels = _conv(3, 64, 7, 2), nn.BatchNorm2d(64), 64
        for number, (repeats, width, stride) in enumerate(_RESNET50, 1):
            layer = nn.Sequential()
            for i in range(repeats):
                layer.append(_Bottleneck(channels, width, 1 if i else stride))
                channels = 4 * width
            self.add_module(f"layer{number}", layer)
        self.fc = nn.Linear(channels, 1000)

    def maps(self, x: Tensor) -> Maps:
        """Each stage's name and map."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        yield "stem", x
        layers = self.layer1, self.layer2, self.layer3, self.layer4
        for name, layer in zip(self.stages[1:], layers, strict=True):
            x = layer(x)
            yield name, x
