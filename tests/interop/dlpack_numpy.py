"""NumPy and Ebb share arrays without a copy, in both directions and both forms of DLPack."""
import gc
import sys
import weakref

import numpy as np

from common import check, passed
from dlpack_common import DTYPES, Made, lib, take

count = 0
for versioned in [False, True]:
    for dtype in DTYPES:
        for transposed in [False, True]:
            made = Made(dtype, transposed, versioned)
            array = np.from_dlpack(made)
            expected = np.arange(6).astype(dtype).reshape(2, 3)
            expected = expected.T if transposed else expected
            check(array.dtype == expected.dtype and np.array_equal(array, expected), dtype, array)
            check(array.strides == expected.strides, "strides", array.strides)
            check(array.ctypes.data == made.data.value, "a copy was made")
            count += 1

forms = [{}] + ([{"max_version": (1, 0)}] if np.lib.NumpyVersion(np.__version__) >= "2.1.0" else [])
for form in forms:
    for dtype in DTYPES:
        for view in [lambda x: x, lambda x: x.T, lambda x: x[:, ::2], lambda x: x[:0], lambda x: x[1, 1]]:
            base = np.arange(6).astype(dtype).reshape(2, 3)
            array = np.asarray(view(base))
            if array.ndim == 0 and not array.flags.writeable:
                continue
            references = sys.getrefcount(array)
            check(take(array.__dlpack__(**form)) is None, "take", dtype)
            short = {"float32": "f32", "float64": "f64", "int64": "i64", "uint8": "u8", "bool": "bool"}[dtype]
            shape = {0: "()", 1: f"({array.shape[0]},)" if array.ndim == 1 else ""}.get(array.ndim, str(array.shape))
            described = f"{short} {shape} sum {array.astype(float).sum():.6f}"
            check(lib.ebb_describe().decode() == described, lib.ebb_describe(), described)
            check(array.size == 0 or lib.ebb_data() == array.ctypes.data, "a copy was made")
            check(sys.getrefcount(array) == references + 1, "the array is not kept alive")
            if array.size:
                lib.ebb_set_first(1)
                check(array.flat[0] == 1, "writes are not shared")
            lib.ebb_drop()
            check(sys.getrefcount(array) == references, "the deleter was not called once")
            count += 1

for array, part in [(np.zeros(2, "f2"), b"elements of type float16"), (np.zeros(2, "i4"), b"elements of type int32"),
                    (np.zeros(2, "c8"), b"elements of type complex64"), (np.zeros(4)[::-1], b"negative strides"),
                    (np.zeros((1,) * 9), b"a tensor of 9 dims")]:
    references = sys.getrefcount(array)
    text = take(array.__dlpack__())
    check(text and part in text, part, text)
    check(sys.getrefcount(array) == references, "the deleter was not called after an error")
    count += 1
if len(forms) > 1:
    array = np.zeros(2)
    array.flags.writeable = False
    text = take(array.__dlpack__(max_version=(1, 0)))
    check(text and b"read-only" in text, text)
    count += 1
passed(count, "numpy")
