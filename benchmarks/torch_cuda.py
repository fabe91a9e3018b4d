"""Compare the CUDA kernels with those of the CPU, and time them, on a machine with a GPU.

`python benchmarks/torch_cuda.py` times them beside a copy and PyTorch's softsign; with `--check` it counts
the results that differ from the CPU's instead. Contestants take turns (`harness`); a sample is the time of
one call between two CUDA events. Bandwidth counts the bytes that a call has to read and write, beside those
that `y.copy_(x)` moves.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from harness import KI, MI, Sampler, Table, conclude, describe, make_parser, section_to_write, take_turns
from torch.nn import functional

import softsign.torch
from softsign.torch import cuda, ops

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
DEVICE = "cuda"

Call = Callable[[], object]


def event_timed(call: Call) -> Sampler:
    """Return a function that takes one sample of a call, in ms, after a first call that compiles."""
    call()

    def sample() -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end))

    return sample


def medians(calls: Mapping[str, Call], rounds: int) -> dict[str, float]:
    """Return median milliseconds of each call."""
    samples = take_turns([event_timed(call) for call in calls.values()], rounds)
    return dict(zip(calls, np.median(samples, axis=0).tolist(), strict=True))


def peak(call: Call) -> int:
    """Return the bytes that a call holds at its worst moment, beyond those held before."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    held: int = torch.cuda.max_memory_allocated() - before
    return held


@dataclass
class Difference:
    """How far the results of two devices are from each other."""

    results: int = 0
    differ: int = 0
    units: int = 0  # in the last place, at most; of a nan and a number as many as there are

    def add(self, found: torch.Tensor, wanted: torch.Tensor) -> None:
        """Compare two tensors of one device."""
        distance = (ordered(found) - ordered(wanted)).abs()
        same_sign = (found.signbit() == wanted.signbit()) | wanted.isnan()
        self.results += distance.numel()
        self.differ += int(((distance != 0) | ~same_sign).sum())
        self.units = max(self.units, int(distance.max()))


def ordered(y: torch.Tensor) -> torch.Tensor:
    """Return int64 numbers in the order of floats: neighbors are one apart, 0 and -0 and all nan none."""
    bits = torch.where(y.isnan(), math.nan, y).view(getattr(torch, f"int{8 * y.element_size()}"))
    return torch.where(bits < 0, torch.iinfo(bits.dtype).min - bits.long(), bits.long())


def every(dtype: torch.dtype, part: int) -> Iterator[torch.Tensor]:
    """Yield all numbers of a dtype, some at a time; of float64 random ones, of every exponent."""
    integers = getattr(torch, f"int{torch.finfo(dtype).bits}")
    least, greatest = torch.iinfo(integers).min, torch.iinfo(integers).max
    if dtype == torch.float64:
        yield torch.randint(least, greatest, (part,), device=DEVICE).view(dtype)
        return
    for start in range(least, greatest, part):
        stop = min(start + part, greatest + 1)
        yield torch.arange(start, stop, device=DEVICE).to(integers).view(dtype)


def check(dtype: torch.dtype, part: int = 64 * MI) -> Table:
    """Compare the softsign of all numbers, and their gradients with random dy, with the CPU's."""
    found = {name: Difference() for name in ("softsign", "gradient", "gradient_from_output")}
    for x in every(dtype, part):
        dy = random(tuple(x.shape), torch.float32).pow(9).to(dtype)  # of many sizes
        y = ops.direct_softsign(x)
        for name, given in {"softsign": (x,), "gradient": (x, dy), "gradient_from_output": (y, dy)}.items():
            function = getattr(ops, f"direct_{name}")
            found[name].add(function(*given), function(*(t.cpu() for t in given)).to(x.device))
    lines = [(name, f"{d.results:,}", f"{d.differ:,}", f"{d.units:,}") for name, d in found.items()]
    return Table(f"Results beside the CPU's, {dtype}", ("", "results", "differ", "units at most"), lines)


def random(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return normal(0, 3) numbers on the GPU."""
    return torch.empty(shape, dtype=dtype, device=DEVICE).normal_(0, 3)


def measure_kernels(shape: tuple[int, ...], dtype: torch.dtype, rounds: int) -> Table:
    """Measure the time of each kernel and its share of the copy's bandwidth."""
    # dy, overwritten in place by its softsign, serves as an output too.
    x, dy, out = random(shape, dtype), random(shape, dtype), torch.empty(shape, dtype=dtype, device=DEVICE)
    calls: dict[str, tuple[int, Call]] = {  # with the number of tensors read and written
        "copy": (2, lambda: out.copy_(x)),
        "softsign": (2, lambda: cuda.softsign(x, out)),
        "softsign in place": (2, lambda: cuda.softsign(dy, dy)),
        "gradient": (3, lambda: cuda.gradient(x, dy, out)),
        "gradient_from_output": (3, lambda: cuda.gradient_from_output(dy, x, out)),
        "eager F.softsign": (2, lambda: functional.softsign(x)),
    }
    times = medians({name: call for name, (_, call) in calls.items()}, rounds)
    copied = calls["copy"][0] / times["copy"]
    lines = [
        (
            name,
            f"{times[name]:.4f}",
            f"{tensors * x.nbytes / times[name] / 1e6:,.0f}",
            f"{tensors / times[name] / copied:.1%}",
        )
        for name, (tensors, _) in calls.items()
    ]
    return Table(f"Kernels, {dtype} {shape}", ("", "ms", "GB/s", "of copy"), lines)


def measure_training(shape: tuple[int, ...], dtype: torch.dtype, rounds: int) -> Table:
    """Measure time and peak memory of forward and backward, ours and PyTorch's."""
    x, dy = random(shape, dtype).requires_grad_(), random(shape, dtype)
    functions = {
        "ours": softsign.torch.softsign,
        "eager F.softsign": functional.softsign,
        "compiled F.softsign": torch.compile(functional.softsign),
    }

    def step(function: Callable[[torch.Tensor], torch.Tensor]) -> Call:
        return lambda: torch.autograd.grad(function(x), x, dy)

    steps = {name: step(function) for name, function in functions.items()}
    times = medians(steps, rounds)
    lines = [
        (
            name,
            f"{times[name]:.4f}",
            f"{times[name] / times['ours']:.2f}",
            f"{peak(call) / x.nbytes:.2f}",
        )
        for name, call in steps.items()
    ]
    header = ("", "ms", "ratio to ours", "peak, tensors")
    return Table(f"Forward and backward, {dtype} {shape}", header, lines)


def measure_layer(shape: tuple[int, int], dtype: torch.dtype, rounds: int) -> Table:
    """Measure forward and backward of `nn.DynamicSoftsign` beside LayerNorm and the layer in operations."""
    x, dy = random(shape, dtype).requires_grad_(), random(shape, dtype)
    ours = softsign.torch.nn.DynamicSoftsign(shape[1], device=DEVICE)
    layers = {
        "nn.DynamicSoftsign": ours,
        "torch.nn.LayerNorm": torch.nn.LayerNorm(shape[1], device=DEVICE, dtype=dtype),
        "compiled nn.DynamicSoftsign": torch.compile(ours),
    }

    def step(layer: torch.nn.Module) -> Call:
        inputs = (x, *layer.parameters())
        return lambda: torch.autograd.grad(layer(x), inputs, dy)

    times = medians({name: step(layer) for name, layer in layers.items()}, rounds)
    lines = [(name, f"{t:.4f}", f"{t / times['torch.nn.LayerNorm']:.2f}") for name, t in times.items()]
    return Table(f"Layers, {dtype} {shape}", ("", "ms", "of LayerNorm"), lines)


def timings(rounds: int) -> list[Table]:
    """Measure kernels, training steps and layers in every dtype."""
    tables = []
    for dtype in DTYPES:
        tables.append(measure_kernels((64 * MI,), dtype, rounds))
        tables.append(measure_training((64 * MI,), dtype, rounds))
        tables.append(measure_layer((64 * KI, KI), dtype, rounds))
    kernel_bench = (4096, 393216)  # level 1, problem 30
    return [*tables, measure_kernels(kernel_bench, torch.float32, rounds)]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure or compare, and print."""
    parser = make_parser("Time the CUDA kernels of softsign.", rounds=50)
    parser.add_argument("--check", action="store_true", help="compare their results with the CPU's instead")
    arguments = parser.parse_args(argv)
    section = section_to_write(arguments, "torch_cuda-check" if arguments.check else "torch_cuda")
    if not torch.cuda.is_available():
        raise SystemExit("there is no GPU that PyTorch can use here")
    tables = [check(dtype) for dtype in DTYPES] if arguments.check else timings(arguments.rounds)
    versions = {"softsign": softsign.__version__, "PyTorch": torch.__version__}
    return conclude(tables, [], section, describe(torch.cuda.get_device_name(), "Triton", 1, versions))


if __name__ == "__main__":
    sys.exit(main())
