"""TensorBoard reads Ebb's event files."""
import io
import math

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator

from common import check, folder, passed, run

path = run("tensorboard", folder / "run").strip()
events = event_accumulator.EventAccumulator(str(folder / "run"), size_guidance={"histograms": 0, "scalars": 0})
events.Reload()
tags = events.Tags()
check(set(tags["scalars"]) == {"loss/train", "loss/odd"}, tags)
check(set(tags["histograms"]) == {"weights", "one"}, tags)
check(set(tags["images"]) == {"red", "gray"}, tags)
check(tags["tensors"] == ["note/text_summary"] or tags["tensors"] == ["note"], tags)

curve = events.Scalars("loss/train")
check([e.step for e in curve] == list(range(20)), "steps")
check(all(e.value == np.float32(1 / (1 + e.step)) for e in curve), "values")
check(all(a.wall_time <= b.wall_time for a, b in zip(curve, curve[1:])), "times")
check(math.isnan(events.Scalars("loss/odd")[0].value), "NaN")

histogram = events.Histograms("weights")[0]
check(histogram.step == 7, histogram.step)
value = histogram.histogram_value
check((value.min, value.max, value.num) == (-1, 3, 5), value)
check(value.sum == 2.75 and value.sum_squares == 10.3125, value)
check(list(value.bucket_limit) == [0, 1, 2, 3], value.bucket_limit)
check(list(value.bucket) == [1, 3, 0, 1], value.bucket)
one = events.Histograms("one")[0].histogram_value
check(one.num == 2 and sum(one.bucket) == 2, one)


def image(tag):
    event = events.Images(tag)[0]
    return np.array(Image.open(io.BytesIO(event.encoded_image_string))), event


pixels, event = image("red")
check(pixels.shape == (2, 4, 3) and (event.height, event.width, event.step) == (2, 4, 1), pixels.shape)
check((pixels == [255, 0, 0]).all(), pixels)
pixels, _ = image("gray")
check(pixels.tolist() == [[0, 128], [255, 255]], pixels)

note = events.Tensors(tags["tensors"][0])[0]
check(note.step == 4 and note.tensor_proto.string_val[0].decode() == "**bold** Grüße", note)
check(list(events.PluginTagToContent("text")) == tags["tensors"], "the plugin of texts")

graph = events.Graph()
nodes = {node.name: node for node in graph.node}
check({"0/weight", "0/bias", "2/weight", "2/bias"} <= nodes.keys(), nodes.keys())
check(all(name.split(":")[0] in nodes for node in graph.node for name in node.input), "inputs of nodes")
check(any(node.op == "sum" for node in graph.node), "ops")
passed(18, "tensorboard", "pillow")
