"""Writes a parity file in the safetensors format, with a fixed layout: the same cases give the same bytes."""

import json
import struct

import torch

_NAMES = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def _bytes(tensor):
    return tensor.detach().contiguous().numpy().tobytes()


def save(path, tensors, metadata):
    """Writes tensors {name: Tensor} and metadata {name: str}. Wide dtypes come first, so that all are aligned."""
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header, offset = {"__metadata__": metadata}, 0
    for name in order:
        tensor = tensors[name]
        size = tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for name in order:
            file.write(_bytes(tensors[name]))
