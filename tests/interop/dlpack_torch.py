"""PyTorch and Ebb share tensors without a copy, in both directions and both forms of DLPack."""
import torch
from torch.utils.dlpack import to_dlpack

from common import check, passed
from dlpack_common import DTYPES, Made, lib, take

SHORT = {"float32": "f32", "float64": "f64", "int64": "i64", "uint8": "u8", "bool": "bool"}
count = 0
for versioned in [False, True]:
    for dtype in DTYPES:
        for transposed in [False, True]:
            made = Made(dtype, transposed, versioned)
            tensor = torch.from_dlpack(made)
            expected = torch.arange(6).to(getattr(torch, dtype)).reshape(2, 3)
            expected = expected.T if transposed else expected
            check(tensor.dtype == expected.dtype and torch.equal(tensor, expected), dtype, tensor)
            check(tensor.stride() == expected.stride(), "strides", tensor.stride())
            check(tensor.data_ptr() == made.data.value, "a copy was made")
            count += 1

capsules = [to_dlpack, lambda x: x.__dlpack__(), lambda x: x.__dlpack__(max_version=(1, 0))]
for capsule in capsules:
    for dtype in DTYPES:
        for view in [lambda x: x, lambda x: x.T, lambda x: x[:, ::2], lambda x: x[:0], lambda x: x[1, 1],
                     lambda x: x[0, 0].expand(2, 2)]:
            tensor = view(torch.arange(6).to(getattr(torch, dtype)).reshape(2, 3))
            check(take(capsule(tensor)) is None, "take", dtype)
            shape = f"({tensor.shape[0]},)" if tensor.dim() == 1 else str(tuple(tensor.shape))
            described = f"{SHORT[dtype]} {shape} sum {tensor.double().sum():.6f}"
            check(lib.ebb_describe().decode() == described, lib.ebb_describe(), described)
            check(tensor.numel() == 0 or lib.ebb_data() == tensor.data_ptr(), "a copy was made")
            lib.ebb_drop()
            count += 1
for dtype, part in [(torch.bfloat16, b"elements of type bfloat16"), (torch.int32, b"elements of type int32")]:
    text = take(to_dlpack(torch.zeros(2, dtype=dtype)))
    check(text and part in text, part, text)
    count += 1
passed(count, "torch")
