#!/usr/bin/env python3
"""Measures the training steps of ebb-gpu-bench in JAX, and prints the same JSON lines.

    jax_bench.py [--filter TEXT] [--quick]

A call runs 100 steps in one compiled lax.scan, so that the time of a step has no launch from the host in it. Products
of f32 run at full precision. Exit status 77: jax cannot be imported or finds no GPU, and nothing was measured.
"""
import argparse
import sys

from peers import LARGE, NETS, Timer, add_options, flops_of, make_row, require_finite

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    print(f"jax_bench: skipped: {error}", file=sys.stderr)
    sys.exit(77)

STEPS = 100
RATE, MOMENTUM, BETA1, BETA2, EPSILON = 1e-4, 0.9, 0.9, 0.999, 1e-8


def loss_of(parameters, x, target):
    for i, (weight, bias) in enumerate(parameters):
        x = x @ weight.T + bias
        if i + 1 < len(parameters):
            x = jax.nn.relu(x)
    return -jnp.take_along_axis(jax.nn.log_softmax(x), target[:, None], 1).mean()


def sgd(parameters, gradients, state):
    state = jax.tree.map(lambda m, g: MOMENTUM * m + g, state, gradients)
    return jax.tree.map(lambda p, m: p - RATE * m, parameters, state), state


def adam(parameters, gradients, state):
    first, second, step = state
    step += 1
    first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, gradients)
    second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, gradients)
    rate, root = RATE / (1 - BETA1**step), jnp.sqrt(1 - BETA2**step)
    update = lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + EPSILON)
    return jax.tree.map(update, parameters, first, second), (first, second, step)


def make_scan(widths, batch, with_adam):
    """Returns a function that makes STEPS steps from a state, and the first state."""
    keys = iter(jax.random.split(jax.random.key(1), 2 * len(widths)))
    parameters = []
    for a, b in zip(widths, widths[1:]):
        weight = jax.random.uniform(next(keys), (b, a), jnp.float32, -(a**-0.5), a**-0.5)
        parameters.append((weight, jnp.zeros(b, jnp.float32)))
    x = jax.random.normal(next(keys), (batch, widths[0]), jnp.float32)
    target = jnp.arange(batch) % widths[-1]
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state = (zeros, zeros, jnp.float32(0)) if with_adam else zeros

    def step(carry, _):
        loss, gradients = jax.value_and_grad(loss_of)(carry[0], x, target)
        return (adam if with_adam else sgd)(carry[0], gradients, carry[1]), loss

    return jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=STEPS)), (parameters, state)


def run(options):
    carry, losses = None, None

    def wait():
        if losses is not None:
            losses.block_until_ready()

    timer = Timer("xla", options, wait)
    for name, widths, batch in NETS[:3] if options.quick else NETS:
        for tf32 in (False, True) if name in LARGE else (False,):
            for with_adam in (False, True):
                variant = f"{'adam' if with_adam else 'sgd'} {'tf32' if tf32 else 'f32'}"
                row = make_row("training", name, variant, flops_of(widths, batch))
                if options.filter not in name:
                    continue
                with jax.default_matmul_precision("tensorfloat32" if tf32 else "highest"):
                    scan, carry = make_scan(widths, batch, with_adam)

                    def call():
                        nonlocal carry, losses
                        carry, losses = scan(carry)

                    timer.run(row, "scan", call, STEPS)
                require_finite("jax_bench", row, float(losses.sum()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    options = parser.parse_args()
    try:
        device = jax.devices(options.device)[0]
    except RuntimeError:
        print("jax_bench: skipped: jax sees no GPU", file=sys.stderr)
        sys.exit(77)
    print(f"jax {jax.__version__}", file=sys.stderr)
    with jax.default_device(device):
        run(options)


if __name__ == "__main__":
    main()
