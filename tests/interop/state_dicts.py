"""PyTorch loads Ebb's weights strictly; Ebb loads PyTorch's, also in part and under other names."""
import torch
from safetensors.torch import load_file, save_file

from common import check, folder, passed, run


def make_model():
    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
                               torch.nn.Flatten(), torch.nn.Linear(4 * 36, 5))


torch.manual_seed(1)
model = make_model()
model(torch.randn(8, 1, 6, 6))  # moves the running statistics
model.eval()
x = torch.randn(3, 1, 6, 6)
state = model.state_dict()

# A file of another program: a prefix, half precision, a head of another size, a tensor too many.
other = {"module." + name: tensor for name, tensor in state.items()}
other["module.4.weight"] = torch.zeros(7, 4 * 36)
other["module.extra"] = torch.zeros(1)
other["module.0.weight"] = state["0.weight"].half()
save_file(state, folder / "state.safetensors")
save_file(other, folder / "other.safetensors")
save_file({"x": x}, folder / "x.safetensors")
report = run("state_dict", folder / "state.safetensors", folder / "other.safetensors", folder / "x.safetensors",
             folder / "saved.safetensors", folder / "y.safetensors").strip().splitlines()

y = load_file(folder / "y.safetensors")
check(torch.allclose(y["strict"], model(x), rtol=1e-5, atol=1e-5), "the output after a strict load")
check(report[0] == "8 loaded; unexpected: \"extra\"; different: \"4.weight\" is f32 (7, 144), expected f32 (5, 144)",
      "the report:", report[0])

fresh = make_model()
fresh.load_state_dict(load_file(folder / "saved.safetensors"), strict=True)
fresh.eval()
check(torch.equal(fresh.state_dict()["4.weight"], state["4.weight"]), "weights that went through Ebb")
check(torch.allclose(fresh(x), model(x)), "the output of PyTorch")

half = make_model()
half.load_state_dict({**state, "0.weight": state["0.weight"].half().float(), "4.weight": y["head"]})
half.eval()
check(torch.allclose(y["partial"], half(x), rtol=1e-5, atol=1e-5), "the output after a partial load")
passed(5, "torch", "safetensors")
