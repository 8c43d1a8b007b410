"""Every test: fixed seeds, one thread, no network, and the process left as it was found."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; kernels and subprocesses inherit it
os.environ.setdefault("MPLBACKEND", "Agg")

import random
import socket
import sys
from pathlib import Path

import pytest

try:
    import matplotlib
    import numpy as np
    import torch
    from hypothesis import HealthCheck, settings
except ModuleNotFoundError as error:
    pytest.exit(f"{sys.executable} has no {error.name}: run the tests with ./run_tests.sh", returncode=2)

if not torch.cuda.is_available():  # before triton is imported: its kernels are then run by an interpreter
    os.environ.setdefault("TRITON_INTERPRET", "1")

LOCAL = ("127.0.0.1", "::1", "localhost")
ROOTS = ("DATA", "DATA_NPY", "DATA_JSON", "FIGURES", "RESULTS", "NOTEBOOKS", "IMAGES")
# Set by pytest itself, or by libraries when they are first imported.
CHANGEABLE = ("PYTEST_", "KMP_", "JPY_", "PYDEVD_", "JUPYTER_", "TORCHINDUCTOR_")

settings.register_profile(
    "wm", deadline=None, derandomize=True, database=None, max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
settings.load_profile("wm")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def unchanged():
    """Fail a test that leaves dtype, device, threads, folder, environment or rcParams changed; undo it."""
    before = global_state()
    yield
    after = global_state()
    restore(before)
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, f"the test left global state changed: {', '.join(changed)}"


@pytest.fixture(autouse=True)
def seed(unchanged):
    """The global generators start every test alike; the seed itself is the fixture's value."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    return 0


@pytest.fixture
def own_randomness(seed):
    """Fail a test in which a global generator was drawn from or seeded (for code that brings its own)."""
    before = generators()
    yield
    assert generators() == before, "a global random generator was used"


@pytest.fixture
def closed():
    """No figure and no setting of matplotlib outlives the test."""
    import matplotlib.pyplot as plt

    with matplotlib.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def ax(closed):
    """Axes of a figure of their own."""
    import matplotlib.pyplot as plt

    return plt.figure().add_subplot()


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that holds everything that `wm.paths` names."""
    monkeypatch.setenv("WM_ROOT", str(tmp_path))
    for name in ROOTS:
        monkeypatch.setenv(f"WM_{name}", str(tmp_path / name.lower()))
    return tmp_path


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """Easy drawings in place of emoji and kanji: a pattern a class, in seven noisy drawings of six designs.

    The first 20 classes are for training, the last 10 for test; numbers of prototypes are a fixed projection.
    """
    from wm.plastic.fewshot import images, prototypes, splits

    names = tuple(f"class {k}" for k in range(30))
    classes, places = np.indices((30, 7)).reshape(2, -1)

    def load(name: str, root=None):
        channels = {"emoji": 3, "kanji": 1}[name]
        own = np.random.default_rng(channels)
        patterns = np.kron(own.standard_normal((30, 8, 8, channels)), np.ones((1, 4, 4, 1)))
        shown = patterns[classes] + 0.5 * own.standard_normal((210, 32, 32, channels))
        pixels = np.clip(127.5 + 50 * shown, 0, 255).astype(np.uint8)
        return images.ImageSet(name, pixels, classes, names, np.maximum(places - 1, 0), ("all",) * 30)

    def features(vectors: np.ndarray, dataset: str, split: str) -> np.ndarray:
        projection = np.random.default_rng(1).standard_normal((vectors.shape[1], 256))
        found = vectors @ projection
        return (found / np.sqrt((found**2).mean())).astype(np.float32)

    monkeypatch.setenv("WM_IMAGES", str(tmp_path))
    monkeypatch.setattr(images, "load", load)
    monkeypatch.setattr(splits, "split", lambda name, kind: splits.Split(names[:20], (), names[20:]))
    monkeypatch.setattr(prototypes, "features", features)
    return load


@pytest.fixture(autouse=True, scope="session")
def shipped_data_stays():
    """Fail the session if a test wrote to what the repository ships."""
    before = shipped()
    yield
    assert shipped() == before, "a test changed data/, data_npy/ or data_json/ of the repository"


def shipped() -> dict[Path, tuple[int, int]]:
    root = Path(__file__).resolve().parents[1]
    files = (path for folder in ("data", "data_npy", "data_json") for path in (root / folder).rglob("*"))
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """Only this machine can be reached: kernels need its loopback, nothing needs more."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _local_only(getattr(socket.socket, name)))
        yield


def _local_only(connect):
    def checked(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
            self.close()
            raise RuntimeError(f"tests use no network, but {address} was to be reached")
        return connect(self, address)

    return checked


def global_state() -> dict:
    return {
        "torch default dtype": torch.get_default_dtype(),
        "torch default device": torch.get_default_device(),
        "torch threads": torch.get_num_threads(),
        "torch gradients": torch.is_grad_enabled(),
        "torch deterministic": torch.are_deterministic_algorithms_enabled(),
        "numpy error state": np.geterr(),
        "working folder": os.getcwd(),
        "environment": {k: v for k, v in os.environ.items() if not k.startswith(CHANGEABLE)},
        "rcParams": dict(matplotlib.rcParams),
    }


def restore(state: dict) -> None:
    torch.set_default_dtype(state["torch default dtype"])
    torch.set_default_device(state["torch default device"])
    torch.set_num_threads(state["torch threads"])
    torch.set_grad_enabled(state["torch gradients"])
    torch.use_deterministic_algorithms(state["torch deterministic"])
    np.seterr(**state["numpy error state"])
    os.chdir(state["working folder"])
    for name in set(os.environ) - set(state["environment"]):
        if not name.startswith(CHANGEABLE):
            del os.environ[name]
    os.environ.update(state["environment"])
    dict.update(matplotlib.rcParams, state["rcParams"])  # without the checks that would warn of old names


def generators() -> tuple:
    _, keys, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), keys.tobytes(), rest, bytes(torch.get_rng_state().numpy())
