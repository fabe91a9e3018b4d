"""Time softsign.torch and softsign.jax beside the softsign of PyTorch and JAX: `make bench-frameworks`.

Each row is two calls that take turns (`harness`), and the median over rounds of the ratio of their times.
Inputs are normal(0, 3). Memory is the rise of a process's resident peak. The exit code is 1 if a target is
missed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
import torch
from harness import (
    KI,
    MI,
    Target,
    conclude,
    limit_threads,
    machine,
    make_parser,
    pause_between,
    section_to_write,
    size_label,
    take_turns,
    timed,
)

import softsign.torch as sst

SMALL, LARGE = (1, 16, 256, 4 * KI), (MI, 16 * MI)


@dataclass(frozen=True)
class Pair:
    """Two ways to do the same, and the target: the largest ratio of ours to theirs."""

    name: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    target: float


def without_grad(function: Callable[[Any], Any], x: Any) -> Callable[[], object]:
    """Return a call of a function that autograd does not follow."""

    def call() -> None:
        with torch.no_grad():
            function(x)

    return call


def with_backward(function: Callable[[Any], Any], x: Any) -> Callable[[], object]:
    """Return a call of a function and of its backward pass."""
    leaf, dy = x.clone().requires_grad_(), torch.randn_like(x)

    def call() -> None:
        leaf.grad = None
        function(leaf).backward(dy)

    return call


def torch_pairs() -> Iterator[Pair]:
    """Yield the rows in eager mode."""
    theirs, relu = torch.nn.functional.softsign, torch.nn.functional.relu
    for size in (*SMALL, 64 * KI, *LARGE):
        x = 3 * torch.randn(size)
        forward_target = 0.9 if size in SMALL else 0.7 if size == 64 * KI else 0.4
        name = f"torch {size_label(size)}"
        yield Pair(
            f"{name} forward / F.softsign",
            without_grad(sst.softsign, x),
            without_grad(theirs, x),
            forward_target,
        )
        if size == 16 * MI:
            buffer = x.clone()
            in_place = without_grad(lambda y: sst.softsign(y, inplace=True), buffer)
            yield Pair(f"{name} in place / F.softsign", in_place, without_grad(theirs, x), 0.06)
            yield Pair(f"{name} new tensor / in place", without_grad(sst.softsign, x), in_place, 3.0)
        if size in (1, 4 * KI, 64 * KI):  # where PyTorch's fastest takes little more than the call
            ours = without_grad(sst.softsign, x)
            yield Pair(f"{name} forward / F.relu", ours, without_grad(relu, x), 4.0 if size in SMALL else 5.0)
            ours = with_backward(sst.softsign, x)
            target = 2.0 if size in SMALL else 3.0
            yield Pair(f"{name} with backward / F.relu", ours, with_backward(relu, x), target)
        if size == 64 * KI:
            continue
        backward_target = 0.35 if size in LARGE else 0.85
        ours = with_backward(sst.softsign, x)
        yield Pair(f"{name} with backward / F.softsign", ours, with_backward(theirs, x), backward_target)
        if size in LARGE:
            yield Pair(f"{name} with backward / torch.tanh", ours, with_backward(torch.tanh, x), 0.8)
    x = torch.randn(2048, 512)
    layers = with_backward(sst.nn.DynamicSoftsign(512), x), with_backward(torch.nn.LayerNorm(512), x)
    yield Pair("torch 2048x512 DynamicSoftsign with backward / LayerNorm", *layers, 1.0)


def compiled_pairs() -> Iterator[Pair]:
    """Yield the rows of a compiled network's training step, without the optimizer's part."""
    x, label = torch.randn(256, 256), torch.randint(10, (256,))

    def step(activation: Any) -> Callable[[], object]:
        torch.manual_seed(0)
        layers = [layer for _ in range(3) for layer in (torch.nn.Linear(256, 256), activation)]
        model = torch.nn.Sequential(*layers, torch.nn.Linear(256, 10))
        compiled = torch.compile(model)

        def call() -> None:
            model.zero_grad()
            torch.nn.functional.cross_entropy(compiled(x), label).backward()

        return call

    yield Pair(
        "torch compiled MLP step / with F.softsign", step(sst.nn.Softsign()), step(torch.nn.Softsign()), 1.03
    )


def jax_pairs() -> Iterator[Pair]:
    """Yield the rows of jitted functions."""
    import jax

    from softsign.jax import softsign as ours

    def value_and_gradient(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        both: Callable[[Any], Any] = jax.value_and_grad(lambda x: f(x).sum())
        return both

    def call(f: Callable[[Any], Any], x: Any) -> Callable[[], object]:
        compiled = jax.jit(f)
        return lambda: jax.block_until_ready(compiled(x))

    theirs = jax.nn.soft_sign
    for size in (4 * KI, *LARGE):
        name = f"jax {size_label(size)}"
        x = jax.device_put(3 * np.random.default_rng(0).standard_normal(size, dtype=np.float32))
        yield Pair(f"{name} forward / jax.nn.soft_sign", call(ours, x), call(theirs, x), 1.05)
        yield Pair(
            f"{name} value and gradient / jax.nn.soft_sign",
            call(value_and_gradient(ours), x),
            call(value_and_gradient(theirs), x),
            1.05,
        )


def fault_targets() -> Iterator[Target]:
    """Count the page faults of a call that returns a new tensor: one for every 4 KiB without huge pages."""
    x = torch.randn(16 * MI)
    for name, call in (
        ("forward", without_grad(sst.softsign, x)),
        ("with backward", with_backward(sst.softsign, x)),
    ):
        call()
        before = getrusage(RUSAGE_SELF).ru_minflt
        call()
        faults = getrusage(RUSAGE_SELF).ru_minflt - before
        yield Target(
            f"torch 16Mi {name}, page faults per 4 KiB of its argument", faults / (x.nbytes / 4096), 0.1
        )


MEMORY_PROBE = r"""
import re, torch, softsign.torch
from pathlib import Path
def memory(kind):  # VmRSS: resident now, VmHWM: its peak; getrusage's peak may be the parent process's
    return int(re.search(kind + r":\s*(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
n = 1 << 26
x = torch.ones(n)
{setup}
y = softsign.torch.softsign(torch.ones(9, requires_grad=True) * 1, {inplace})
y.backward(torch.ones(9))  # which imports 35 MB of PyTorch the first time
before = memory("VmRSS")
y = softsign.torch.softsign(x, {inplace})
{backward}
print((memory("VmHWM") - before) / n)
"""


def memory_targets() -> Iterator[Target]:
    """Measure the bytes per element that forward and backward add to a new process at their peak."""
    cases = {
        "forward and backward": ("x.requires_grad_(); dy = torch.ones(n)", False, "y.backward(dy)", 8.0),
        "in place, forward and backward": (
            # the gradient arrives in dy and passes on: only the new one counts
            "leaf = x.requires_grad_(); x = leaf.clone(); dy = torch.ones(n)",
            True,
            "torch.autograd.grad(y, leaf, dy)",
            4.0,
        ),
    }
    for name, (setup, inplace, backward, target) in cases.items():
        probe = MEMORY_PROBE.format(setup=setup, inplace=inplace, backward=backward)
        done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
        # Rounded to 330 kB in all, for what else a process allocates in the meantime: up to 200 kB were seen.
        yield Target(f"torch 64Mi float32 {name}, bytes per element", round(float(done.stdout), 2), target)


def ratio(pair: Pair, rounds: int, pause: float) -> float:
    """Measure a pair in turns."""
    ours, theirs = take_turns([timed(pair.ours), timed(pair.theirs)], rounds, pause).T
    return float(np.median(ours / theirs))


def targets(threads: int, rounds: int) -> Iterator[Target]:
    """Measure every row."""
    torch.set_num_threads(threads)
    for pairs in (torch_pairs(), compiled_pairs(), jax_pairs()):
        for pair in pairs:
            print(f"measuring {pair.name}", file=sys.stderr)
            yield Target(pair.name, ratio(pair, rounds, pause_between(threads)), pair.target)
    yield from fault_targets()
    yield from memory_targets()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = make_parser("Time softsign.torch and softsign.jax beside theirs.", rounds=15, threads=True)
    arguments = parser.parse_args(argv)
    section = section_to_write(arguments, f"frameworks-{arguments.threads}")
    limit_threads(arguments.threads)
    origin = machine(arguments.threads, PyTorch=torch.__version__, JAX=version("jax"))
    print(origin)
    return conclude([], list(targets(arguments.threads, arguments.rounds)), section, origin)


if __name__ == "__main__":
    sys.exit(main())
