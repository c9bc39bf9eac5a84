"""NumPy reads what Ebb writes, and Ebb what NumPy writes."""
import numpy as np

from common import check, folder, passed, run

# The dtype that Ebb has for each of NumPy's.
CONVERTED = {"f2": "f4", "f4": "f4", "f8": "f8", "i1": "i8", "i2": "i8", "i4": "i8", "i8": "i8",
             "u1": "u1", "u2": "i8", "u4": "i8", "u8": "i8", "b1": "b1"}

random = np.random.default_rng(1)
source, result = folder / "in", folder / "out"
source.mkdir(), result.mkdir()

arrays = {}
for dtype in CONVERTED:
    for order in "<>":
        for shape in [(), (3,), (0, 2), (2, 3), (2, 3, 4), (1, 1, 2, 1)]:
            values = random.integers(0, 2 if dtype == "b1" else 100, shape) - (3 if dtype[0] in "fi" else 0)
            array = np.array(values).astype(order + dtype)
            name = f"{dtype}_{'le' if order == '<' else 'be'}_{'x'.join(map(str, shape))}"
            arrays[name + "_c"] = array
            arrays[name + "_f"] = np.asfortranarray(array)
halves = np.arange(65536, dtype="u2").view("f2")
arrays["all_halves"] = halves
arrays["strided"] = np.arange(24.0).reshape(4, 6)[::2, ::-2]
arrays["extremes"] = np.array([np.iinfo("i8").min, np.iinfo("i8").max])

for name, array in arrays.items():
    np.save(source / f"{name}.npy", array)
np.savez(source / "plain.npz", **arrays)
np.savez_compressed(source / "compressed.npz", **arrays)
np.savez(source / "empty.npz")
run("numpy", source, result)


def same(name, array, loaded):
    expected = array.astype("<" + CONVERTED[array.dtype.str[1:]])
    check(loaded.dtype == expected.dtype, name, loaded.dtype, expected.dtype)
    check(loaded.shape == expected.shape, name, loaded.shape, expected.shape)
    check(np.array_equal(loaded, expected, equal_nan=loaded.dtype.kind == "f"), name, loaded, expected)


count = 0
for name, array in arrays.items():
    same(name, array, np.load(result / f"{name}.npy"))
    count += 1
for archive in ["plain", "compressed"]:
    for ending in [".npz", ".compressed.npz"]:
        with np.load(result / (archive + ending)) as loaded:
            check(loaded.files == list(arrays), archive, "names")
            for name, array in arrays.items():
                same(name, array, loaded[name])
                count += 1
check(np.load(result / "empty.npz").files == [], "the empty archive")
passed(count + 1, "numpy")
