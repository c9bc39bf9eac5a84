"""Ebb computes operators of other exporters as onnxruntime does."""
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from common import check, folder, passed, run

random = np.random.default_rng(1)
TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int64": TensorProto.INT64,
         "bool": TensorProto.BOOL, "uint8": TensorProto.UINT8}
count = 0


def randn(*shape):
    return random.standard_normal(shape).astype("f4")


def model(name, nodes, inputs, outputs, constants=None, opset=17):
    """Writes a model, and the outputs that onnxruntime computes."""
    global count
    values = [helper.make_tensor_value_info(f"x{i}", TYPES[str(x.dtype)], [None] * x.ndim) for i, x in enumerate(inputs)]
    results = [helper.make_tensor_value_info(y, kind, None) for y, kind in outputs.items()]
    initializers = [numpy_helper.from_array(np.asarray(value), key) for key, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, name, values, results, initializers)
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(built, folder / f"{name}.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(built.SerializeToString(), options, providers=["CPUExecutionProvider"])
    expected = session.run(None, {f"x{i}": x for i, x in enumerate(inputs)})
    arrays = {f"1.in.{i}": x for i, x in enumerate(inputs)}
    arrays |= {f"1.out.{i}": y for i, y in enumerate(expected)}
    np.savez(folder / f"{name}.npz", **arrays)
    count += 1


def single(name, op, inputs, constants=None, kind=TensorProto.FLOAT, opset=17, **attributes):
    names = [f"x{i}" for i in range(len(inputs))] + list(constants or {})
    model(name, [helper.make_node(op, names, ["y"], **attributes)], inputs, {"y": kind}, constants, opset)


image, rows = randn(2, 4, 7, 6), randn(3, 5)
for op in ["Relu", "Exp", "Abs", "Neg", "Floor", "Ceil", "Round", "Sign", "Sigmoid", "Tanh", "Erf", "Sin", "Cos", "Softplus",
           "Softsign", "HardSwish", "HardSigmoid", "Elu", "Selu", "Celu", "LeakyRelu", "Reciprocal", "Softmax", "LogSoftmax",
           "Transpose", "Flatten", "Identity", "Shape", "Squeeze"]:
    kind = TensorProto.INT64 if op == "Shape" else TensorProto.FLOAT
    single(op, op, [rows], kind=kind)
single("Gelu", "Gelu", [rows], opset=20)
single("GeluTanh", "Gelu", [rows], opset=20, approximate="tanh")
single("Mish", "Mish", [rows], opset=18)
single("Shrink", "Shrink", [rows], lambd=0.3, bias=0.1)
for op in ["Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"]:
    single(op, op, [np.abs(rows) + 0.1, randn(5)])
single("DivIntegers", "Div", [np.array([7, -7, 6]), np.array([2, 2, 3])], kind=TensorProto.INT64)
for op in ["Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"]:
    single(op, op, [rows, randn(3, 1)], kind=TensorProto.BOOL)
single("And", "And", [rows > 0, rows < 1], kind=TensorProto.BOOL)
single("Sum", "Sum", [rows, rows, randn(5)])
single("Clip", "Clip", [rows], {"low": np.float32(-0.5)})
single("Where", "Where", [rows > 0, rows, randn(5)])
single("Cast", "Cast", [rows], kind=TensorProto.INT64, to=TensorProto.INT64)
single("PRelu", "PRelu", [image], {"slope": randn(4, 1, 1)})

single("Gemm", "Gemm", [rows], {"b": randn(5, 4), "c": randn(3, 1)}, alpha=0.5, beta=2.0)
single("GemmTransposed", "Gemm", [rows], {"b": randn(2, 3), "c": randn(5, 2)}, transA=1, transB=1)
single("MatMul", "MatMul", [randn(2, 3, 4)], {"b": randn(4, 5)})
weight = randn(6, 2, 3, 2)
single("Conv", "Conv", [image], {"w": weight, "b": randn(6)}, group=2, pads=[1, 0, 2, 1], strides=[2, 1], dilations=[1, 2])
for mode in ["SAME_UPPER", "SAME_LOWER", "VALID"]:
    single("Conv" + mode, "Conv", [image], {"w": weight}, group=2, auto_pad=mode, strides=[2, 2])
single("Conv1d", "Conv", [randn(2, 3, 9)], {"w": randn(4, 3, 3)}, pads=[1, 1])
single("ConvTranspose", "ConvTranspose", [image], {"w": randn(4, 3, 3, 2), "b": randn(6)}, group=2, strides=[2, 3],
       pads=[1, 0, 0, 1], output_padding=[1, 0])
single("MaxPool", "MaxPool", [image], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 0, 1])
single("MaxPoolCeil", "MaxPool", [image], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
single("MaxPoolSame", "MaxPool", [image], kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_UPPER")
single("AveragePool", "AveragePool", [image], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
single("AveragePoolAll", "AveragePool", [image], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=1)
single("GlobalAveragePool", "GlobalAveragePool", [image])
single("GlobalMaxPool", "GlobalMaxPool", [image])
single("BatchNormalization", "BatchNormalization", [image],
       {"scale": randn(4), "b": randn(4), "mean": randn(4), "var": np.abs(randn(4)) + 0.1}, epsilon=1e-3)
single("InstanceNormalization", "InstanceNormalization", [image], {"scale": randn(4), "b": randn(4)})
single("LayerNormalization", "LayerNormalization", [image], {"scale": randn(7, 6), "b": randn(7, 6)}, axis=2)

for mode, coordinates, nearest in [("nearest", "asymmetric", "floor"), ("nearest", "half_pixel", "round_prefer_floor"),
                                   ("nearest", "align_corners", "ceil"), ("linear", "half_pixel", "floor"),
                                   ("linear", "align_corners", "floor"), ("linear", "pytorch_half_pixel", "floor"),
                                   ("linear", "asymmetric", "floor")]:
    for name, inputs, constants in [("scales", ["x0", "", "s"], {"s": np.array([1, 1, 2, 0.6], "f4")}),
                                    ("sizes", ["x0", "", "", "s"], {"s": np.array([2, 4, 5, 13])})]:
        node = helper.make_node("Resize", inputs, ["y"], mode=mode, coordinate_transformation_mode=coordinates, nearest_mode=nearest)
        model(f"Resize_{mode}_{coordinates}_{name}", [node], [image], {"y": TensorProto.FLOAT}, constants)

ints = lambda *values: np.array(values, "i8")
single("Reshape", "Reshape", [image], {"s": ints(0, -1, 3)})
single("Unsqueeze", "Unsqueeze", [rows], {"axes": ints(-1, 0)})
single("SqueezeAxes", "Squeeze", [randn(1, 3, 1)], {"axes": ints(-1)})
single("Concat", "Concat", [rows, randn(3, 2)], axis=-1)
single("Expand", "Expand", [randn(3, 1)], {"s": ints(2, 1, 4)})
single("Slice", "Slice", [image], {"s": ints(-3, 4), "e": ints(100, -100), "a": ints(-2, 3), "t": ints(1, -2)})
single("SliceAll", "Slice", [rows], {"s": ints(1, 1), "e": ints(3, 4)})
single("Gather", "Gather", [rows], {"i": ints(0, -1)}, axis=1)
single("GatherMatrix", "Gather", [rows], {"i": np.array([[0, 2], [1, -3]])}, axis=0)
single("GatherElements", "GatherElements", [rows], {"i": np.array([[0, -1], [4, 2], [1, 1]])}, axis=1)
for mode in ["constant", "reflect", "edge"]:
    single("Pad" + mode, "Pad", [rows], {"p": ints(1, 2, 0, 3)}, mode=mode)
single("PadValue", "Pad", [rows], {"p": ints(0, -1, 1, 1), "v": np.float32(2)})
model("Split", [helper.make_node("Split", ["x0", "s"], ["a", "b"], axis=1)], [rows],
      {"a": TensorProto.FLOAT, "b": TensorProto.FLOAT}, {"s": ints(2, 3)})
single("Trilu", "Trilu", [rows], {"k": np.array(1)}, upper=0)
model("TopK", [helper.make_node("TopK", ["x0", "k"], ["v", "i"], axis=1, largest=0)], [rows],
      {"v": TensorProto.FLOAT, "i": TensorProto.INT64}, {"k": ints(2)})
single("ScatterElements", "ScatterElements", [rows], {"i": np.array([[0, -1], [4, 2], [1, 1]]), "u": randn(3, 2)}, axis=1,
       reduction="add")
single("CumSum", "CumSum", [rows], {"axis": np.array(1)}, reverse=1)
model("ConstantOfShape", [helper.make_node("Shape", ["x0"], ["s"], start=1),
                          helper.make_node("ConstantOfShape", ["s"], ["c"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [2.5])),
                          helper.make_node("Constant", [], ["k"], value=helper.make_tensor("k", TensorProto.FLOAT, [], [3.0])),
                          helper.make_node("Mul", ["c", "k"], ["p"]),
                          helper.make_node("Add", ["x0", "p"], ["y"])], [rows], {"y": TensorProto.FLOAT})
for op in ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSumExp", "ReduceL2"]:
    single(op, op, [image], axes=[1, -1], keepdims=0)
    single(op + "18", op, [image], {"axes": ints(2)}, opset=18)
single("ReduceSum", "ReduceSum", [image], {"axes": ints(1, 2)})
single("ReduceSumAll", "ReduceSum", [image], keepdims=0)
single("ArgMax", "ArgMax", [rows], kind=TensorProto.INT64, axis=1, keepdims=0)

for op, gates, extra in [("LSTM", 4, {}), ("GRU", 3, {"linear_before_reset": 1}), ("RNN", 1, {})]:
    for direction, d in [("forward", 1), ("reverse", 1), ("bidirectional", 2)]:
        constants = {"w": randn(d, gates * 4, 3), "r": randn(d, gates * 4, 4), "b": randn(d, 2 * gates * 4)}
        outputs = ["y", "h", "c"][:3 if op == "LSTM" else 2]
        node = helper.make_node(op, ["x0", *constants], outputs, hidden_size=4, direction=direction, **extra)
        model(op + direction, [node], [randn(5, 2, 3)], dict.fromkeys(outputs, TensorProto.FLOAT), constants)

# Element types of initializers, raw and not.
halves = np.array([0.5, -2.0, 3.0], "f2")
bfloat = helper.make_tensor("c", TensorProto.BFLOAT16, [3], [0.5, -2.0, 3.0])
typed = {"Half": numpy_helper.from_array(halves, "c"), "BFloat": bfloat,
         "Int8": numpy_helper.from_array(np.array([-1, 2, 3], "i1"), "c"),
         "List": helper.make_tensor("c", TensorProto.FLOAT, [3], [0.5, -2.0, 3.0]),
         "Int32List": helper.make_tensor("c", TensorProto.INT32, [3], [5, -2, 3])}
for name, tensor in typed.items():
    floating = name in ("Half", "BFloat", "List")
    kind = TensorProto.FLOAT if floating else TensorProto.INT64
    x = np.array([1, 2, 3], "f4" if floating else "i8")
    graph = helper.make_graph([helper.make_node("Cast", ["c"], ["d"], to=kind), helper.make_node("Add", ["x0", "d"], ["y"])],
                              name, [helper.make_tensor_value_info("x0", kind, [3])],
                              [helper.make_tensor_value_info("y", kind, [3])], [tensor])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / f"{name}.onnx")
    values = {"Int8": [-1, 2, 3], "Int32List": [5, -2, 3]}.get(name, [0.5, -2.0, 3.0])
    np.savez(folder / f"{name}.npz", **{"1.in.0": x, "1.out.0": x + np.array(values, x.dtype)})
    count += 1

text = run("onnx_import", folder).strip()
check(text.startswith(f"{count} models"), text)
print(text)
passed(count, "onnx", "onnxruntime")
