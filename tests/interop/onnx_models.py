"""ONNX's checker accepts what Ebb exports, and onnxruntime computes the same outputs for every batch size."""
import numpy as np
import onnx
import onnxruntime

from common import check, folder, passed, run

TOLERANCE = 1e-5
FIXED = {"fixed"}  # exported for one batch size

run("onnx", folder)
models = sorted(folder.glob("*.onnx"))
check(len(models) > 100, "only", len(models), "models")
worst, count = 0.0, 0
failures = []
for path in models:
    name = path.stem
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        check(model.opset_import[0].version == 17, name, "opset")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        if name not in FIXED:
            check(all("batch" in value.shape for value in session.get_inputs()), name, "the batch is fixed")
        arrays = np.load(path.with_suffix(".npz"))
        for batch in sorted({key.split(".")[0] for key in arrays.files}):
            inputs = {value.name: arrays[f"{batch}.in.{i}"] for i, value in enumerate(session.get_inputs())}
            outputs = session.run(None, inputs)
            for i, output in enumerate(outputs):
                expected = arrays[f"{batch}.out.{i}"]
                if output.shape != expected.shape or output.dtype != expected.dtype:
                    failures.append(f"{name}, batch {batch}: {output.dtype} {output.shape}, expected {expected.dtype} {expected.shape}")
                    continue
                error = np.max(np.abs(output - expected) / np.maximum(1, np.abs(expected)), initial=0)
                worst = max(worst, float(error))
                count += 1
                if not error <= TOLERANCE:
                    failures.append(f"{name}, batch {batch}, output {i}: error {error}")
    except Exception as error:  # noqa: BLE001 - every model is reported
        failures.append(f"{name}: {str(error).strip().splitlines()[0][:300]}")
check(not failures, *("\n  " + line for line in failures))
print(f"{len(models)} models, largest error {worst:.1e}")
print("imported again:", run("onnx_import", folder).strip())
passed(count, "onnx", "onnxruntime")
