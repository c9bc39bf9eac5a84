"""Ebb reads every dtype of safetensors that has an equivalent, and safetensors reads what Ebb writes."""
import torch
from safetensors.torch import load_file, save_file

from common import check, folder, passed, run

CONVERTED = {
    torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.float8_e4m3fn: torch.float32,
    torch.float8_e5m2: torch.float32, torch.float32: torch.float32, torch.float64: torch.float64,
    torch.int8: torch.int64, torch.int16: torch.int64, torch.int32: torch.int64, torch.int64: torch.int64,
    torch.uint16: torch.int64, torch.uint32: torch.int64, torch.uint64: torch.int64,
    torch.uint8: torch.uint8, torch.bool: torch.bool,
}
tensors = {}
for dtype in CONVERTED:
    name = str(dtype).removeprefix("torch.")
    tensors[name] = torch.arange(12).reshape(3, 4).to(dtype)
    tensors[name + "_none"] = torch.zeros(0, 4).to(dtype)
    tensors[name + "_one"] = torch.tensor(1).to(dtype)
# Every value of the small types.
tensors["all_f16"] = torch.arange(-32768, 32768).to(torch.int16).view(torch.float16)
tensors["all_bf16"] = torch.arange(-32768, 32768).to(torch.int16).view(torch.bfloat16)
tensors["all_f8_e4m3"] = torch.arange(256).to(torch.uint8).view(torch.float8_e4m3fn)
tensors["all_f8_e5m2"] = torch.arange(256).to(torch.uint8).view(torch.float8_e5m2)
tensors["all_i8"] = torch.arange(-128, 128).to(torch.int8)

save_file(tensors, folder / "in.safetensors", metadata={"format": "pt"})
run("safetensors", folder / "in.safetensors", folder / "out.safetensors")
loaded = load_file(folder / "out.safetensors")
check(loaded.keys() == tensors.keys(), "names")
for name, tensor in tensors.items():
    expected = tensor.to(CONVERTED[tensor.dtype])
    got = loaded[name]
    check(got.dtype == expected.dtype and got.shape == expected.shape, name, got.dtype, got.shape)
    check(torch.equal(got.nan_to_num() if got.is_floating_point() else got,
                      expected.nan_to_num() if got.is_floating_point() else expected), name)
    if got.is_floating_point():
        check(torch.equal(got.isnan(), expected.isnan()), name, "NaN")
passed(len(tensors), "safetensors", "torch")
