"""Checkpoints: any nested state <-> one sealed safetensors file, exactly.

The tensors and arrays are the file's tensors "0", "1", ...; its metadata holds the seal and a JSON skeleton
in which they, tuples, dicts and other things that JSON lacks are tagged: `{"tuple": [1, {"tensor": "0"}]}`.
"""

__all__ = ["load_checkpoint", "save_checkpoint"]

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from .files import DamagedFile, check_schema, is_sealed, parse_json, parsing, read_bytes, seal, write_atomic

SCHEMA = 1
AGAIN = "delete it to go on from the checkpoint before it, or train again"
STORED = {
    torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32,
    torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64,
}  # fmt: skip


def save_checkpoint(path: str | Path, state: Any) -> Path:
    """Save dicts, lists and tuples of tensors, arrays, numbers, strings, bool and None; return the path.

    Kept exactly: tensor or array, dtype, shape; tuple or list; keys (int, float, str, bool, None, tuples of
    these); ints of any size; infinities and NaN. Not kept: device (loaded to the CPU), gradients, strides,
    subclasses of dict. Raises `TypeError` naming the key path of anything else; `CannotWrite`.
    """
    tensors: dict[str, torch.Tensor] = {}
    # The seal comes first: what looks like one in the state comes after it.
    record = {"seal": "0" * 64, "schema": SCHEMA, "state": _encode(state, "state", tensors)}
    return write_atomic(path, seal(save(tensors, {"wm": json.dumps(record, allow_nan=False)})))


def load_checkpoint(path: str | Path, *, again: str = AGAIN) -> Any:
    """Load what `save_checkpoint` saved, tensors on the CPU.

    Raises `DamagedFile` for any damage, with `again` as its remedy; `WrongSchema` for another version's file.
    """
    content = read_bytes(path, again=again)
    with parsing(path, again=again):
        if not is_sealed(content):
            raise DamagedFile(path, "is cut, changed, or no checkpoint (its seal does not match)", again)
        length = int.from_bytes(content[:8], "little")
        record = parse_json(parse_json(content[8 : 8 + length])["__metadata__"]["wm"].encode())
        check_schema(path, record["schema"], SCHEMA)
        return _decode(record["state"], load(content))


def _encode(value: Any, where: str, tensors: dict[str, torch.Tensor]) -> Any:
    """The JSON skeleton of `value`; its tensors and arrays are added to `tensors`."""
    match value:
        case torch.Tensor():
            return {"tensor": _keep(value.detach(), where, tensors)}
        case np.generic():
            return {"scalar": _keep(_tensor(np.asarray(value), where), where, tensors)}
        case dict():
            items = value.items()
            return {"dict": [[_key(k, where), _encode(v, f"{where}[{k!r}]", tensors)] for k, v in items]}
        case float() if not math.isfinite(value):
            return {"float": str(value)}
    if type(value) is np.ndarray:
        return {"array": _keep(_tensor(value, where), where, tensors)}
    if type(value) in (list, tuple):  # a named tuple would come back as a plain one
        items = [_encode(item, f"{where}[{i}]", tensors) for i, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"{where} is a {type(value).__name__}, which a checkpoint does not hold")


def _key(key: Any, where: str) -> Any:
    # Without a place for tensors: they make no keys.
    if isinstance(key, torch.Tensor | np.generic):
        raise TypeError(f"{where} has a key of type {type(key).__name__}: use a plain int, float or str")
    return _encode(key, f"{where}, key {key!r}", {})


def _tensor(array: np.ndarray, where: str) -> torch.Tensor:
    try:
        # Viewed by name, as torch knows one of the two types that numpy has for uint64.
        return torch.from_numpy(np.array(array, order="C").view(array.dtype.str))
    except (TypeError, ValueError) as error:  # no numbers; foreign byte order
        raise TypeError(f"{where} has dtype {array.dtype}, which a checkpoint does not hold") from error


def _keep(tensor: torch.Tensor, where: str, tensors: dict[str, torch.Tensor]) -> str:
    if tensor.dtype not in STORED or tensor.layout is not torch.strided:
        raise TypeError(f"{where} has {tensor.dtype}, {tensor.layout}, which a checkpoint does not hold")
    name = str(len(tensors))
    # A copy of its own, as safetensors refuses tensors that share memory.
    tensors[name] = tensor.cpu().clone(memory_format=torch.contiguous_format)
    return name


def _decode(skeleton: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(skeleton, list):
        return [_decode(item, tensors) for item in skeleton]
    if not isinstance(skeleton, dict):
        return skeleton
    ((tag, value),) = skeleton.items()
    match tag:
        case "dict":
            return {_decode(key, tensors): _decode(item, tensors) for key, item in value}
        case "tuple":
            return tuple(_decode(item, tensors) for item in value)
        case "tensor":
            return tensors[value]
        case "array":
            return tensors[value].numpy()
        case "scalar":
            return tensors[value].numpy()[()]
        case "float":
            return float(value)
    raise ValueError(f"unknown tag {tag}")
