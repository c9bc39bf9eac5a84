"""Trains one epoch of examples/fashion_mnist in PyTorch. scripts/bench --build compares its peak memory with Ebb's."""

import gzip
import pathlib
import sys

import torch


def read_idx(path, header, shape):
    data = torch.empty(shape, dtype=torch.uint8)
    with gzip.open(path) as file:
        file.read(header)
        file.readinto(data.numpy())
    return data


def read(folder, part, count):
    pictures = read_idx(folder / f"{part}-images-idx3-ubyte.gz", 16, (count, 784))
    return pictures, read_idx(folder / f"{part}-labels-idx1-ubyte.gz", 8, (count,)).long()


def main():
    folder = pathlib.Path(sys.argv[1])
    pictures, classes = read(folder, "train", 60000)
    tests, test_classes = read(folder, "t10k", 10000)
    model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 128), torch.nn.ReLU(),
                                torch.nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for rows in torch.randperm(len(pictures)).split(128):
        loss = torch.nn.functional.cross_entropy(model(pictures[rows].float().div_(255)), classes[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = 0
    with torch.no_grad():
        for some, expected in zip(tests.split(128), test_classes.split(128)):
            right += (model(some.float().div_(255)).argmax(1) == expected).sum().item()
    print(f"accuracy {right / len(tests):.4f}")


if __name__ == "__main__":
    main()
