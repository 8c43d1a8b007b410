"""Sparse autoencoders in SAELens's directory format: cfg.json and sae_weights.safetensors.

relu is saved as its architecture `standard`, topk as `topk`, jumprelu and batchtopk as `jumprelu`. The
metadata holds the hook point, and under `wm` the whole configuration; `SAE.load_from_disk(folder)` of
SAELens 6 reads it.
"""

from __future__ import annotations

__all__ = ["load", "save"]

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ..files import WrongSchema, parsing, read_bytes, read_json, to_json, write_all
from .sae import SAEConfig, SparseAutoencoder

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
SAELENS = "6.54.12"
"""version whose format this is; from 6.0 on it has been the same"""
_ARCHITECTURES = {"relu": "standard", "topk": "topk", "batchtopk": "jumprelu", "jumprelu": "jumprelu"}
_AGAIN = "export it again"


def save(sae: SparseAutoencoder, folder: str | Path, *, metadata: Mapping[str, Any] | None = None) -> Path:
    """Write an autoencoder to a folder, which is returned.

    metadata: more to tell SAELens, such as `model_name` or `context_size`. Raises `wm.store.CannotWrite`, and
    ValueError for metadata that JSON does not have.
    """
    folder, cfg = Path(folder), sae.cfg
    config = {
        "d_in": cfg.d_in,
        "d_sae": cfg.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": cfg.decoder_bias,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": SAELENS, "hook_name": cfg.hook_name, **(metadata or {})},
        "architecture": _ARCHITECTURES[cfg.activation],
    }
    config["metadata"]["wm"] = asdict(cfg)
    if cfg.activation == "topk":
        config |= {"k": int(cfg.k), "rescale_acts_by_decoder_norm": False}
    tensors = {name: value.detach().cpu().float().contiguous() for name, value in sae.state_dict().items()}
    write_all({folder / WEIGHTS: save_tensors(tensors), folder / CONFIG: to_json(config)})
    return folder


def load(folder: str | Path) -> SparseAutoencoder:
    """Read an autoencoder that `save` or SAELens wrote.

    SAELens says less of how one was trained: what is missing takes its default. Raises
    `wm.store.DamagedFile`, and `WrongSchema` for an architecture or option that there is none of here.
    """
    folder = Path(folder)
    said = read_json(folder / CONFIG, again=_AGAIN)
    content = read_bytes(folder / WEIGHTS, again=_AGAIN)
    with parsing(folder / CONFIG, again=_AGAIN):
        sae = SparseAutoencoder(_config(folder / CONFIG, said))
    with parsing(folder / WEIGHTS, again=_AGAIN), torch.no_grad():
        sae.load_state_dict(load_tensors(content))
    return sae.requires_grad_(False)


def _config(path: Path, said: Mapping[str, Any]) -> SAEConfig:
    """The configuration that cfg.json tells of."""
    metadata = said["metadata"]
    ours = metadata.get("wm")
    if ours and set(ours) == {field.name for field in fields(SAEConfig)}:
        return SAEConfig(**ours)
    kinds = {"standard": "relu", "topk": "topk", "jumprelu": "jumprelu"}
    plain = {
        "normalize_activations": "none",
        "reshape_activations": "none",
        "rescale_acts_by_decoder_norm": False,
    }
    odd = [f"{name} {said[name]}" for name, value in plain.items() if said.get(name, value) != value]
    if said["architecture"] not in kinds or odd:
        what = ", ".join(odd) or f"architecture {said['architecture']}"
        raise WrongSchema(path, f"{what} is not read here", "use SAELens for it")
    kind = kinds[said["architecture"]]
    k = {"relu": None, "topk": said.get("k"), "jumprelu": said["d_sae"]}[kind]
    bias = said.get("apply_b_dec_to_input", True)
    return SAEConfig(said["d_in"], said["d_sae"], kind, k, hook_name=metadata.get("hook_name") or "",
                     decoder_bias=bias)  # fmt: skip
