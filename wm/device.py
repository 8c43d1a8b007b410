"""The devices that there are."""

__all__ = ["check_found"]


def check_found(device: str) -> None:
    """Raise ValueError for a CUDA device where there is none."""
    if str(device).startswith("cuda"):
        from torch import cuda  # takes seconds

        if not cuda.is_available():
            raise ValueError(f"device {device}: no CUDA device is found here; use cpu, which is the default")
