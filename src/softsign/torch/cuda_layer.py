"""The layer weight * softsign(alpha * x) + bias on CUDA tensors, as Triton kernels: the twin of csrc/layer.h.

One pass forwards and one backwards. Values and dx have the bits of the CPU's: the same operations, each
rounded once. Sums are taken over the rows of a tile's place, `CHUNK` of them and those again, then over the
tile and the blocks; no step is left to chance, so that the same call gives the same bits again.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from softsign.torch.cuda import BLOCK_BYTES, WARPS, divide

__all__ = ["gradients", "values"]

#: Rows that one accumulator sums before it is added to another.
CHUNK = 32
#: Tiles that one block goes through at least, and how many blocks of rows there are at most.
STEPS, BLOCKS = 8, 1024


def values(
    x: torch.Tensor, alpha: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, out: torch.Tensor
) -> None:
    """Write weight * softsign(alpha * x) + bias to `out`, computed in float32, of float64 in float64.

    Parameters
    ----------
    x : torch.Tensor
        On a CUDA device, contiguous; float16, bfloat16, float32 or float64; one axis or more.
    alpha : torch.Tensor
        One number, of any of these dtypes, on the same device.
    weight, bias : torch.Tensor
        As many as the last axis of `x` has, contiguous, in the dtype that is computed in.
    out : torch.Tensor
        As `x`, in shape and dtype.
    """
    if x.numel() == 0:
        return
    rows, columns, *tile = _sizes(x)
    grid = triton.cdiv(rows, tile[0]) * triton.cdiv(columns, tile[1])
    _launch(_values, grid, x, alpha, weight, bias, out, rows, columns, *tile)


def gradients(
    x: torch.Tensor,
    alpha: torch.Tensor,
    dy: torch.Tensor,
    weight: torch.Tensor,
    dx: torch.Tensor,
    sums: torch.Tensor,
) -> None:
    """Write the gradient of x to `dx`, and those of weight, bias and alpha to `sums`.

    Parameters
    ----------
    x, alpha, weight : torch.Tensor
        As in `values`.
    dy, dx : torch.Tensor
        As `x`, in shape and dtype.
    sums : torch.Tensor
        Contiguous float64: as many numbers for weight as the last axis of `x` has, so many for bias, and one.
    """
    if x.numel() == 0:
        sums.zero_()
        return
    rows, columns, *tile = _sizes(x)
    tiles = triton.cdiv(rows, tile[0])
    steps = max(STEPS, triton.cdiv(tiles, BLOCKS))
    blocks, across = triton.cdiv(tiles, steps), triton.cdiv(columns, tile[1])
    wide = torch.promote_types(x.dtype, torch.float32)
    parts = torch.empty(blocks, 2 * columns, dtype=wide, device=x.device)
    alphas = torch.empty(blocks * across, dtype=wide, device=x.device)
    given = (x, alpha, dy, weight, dx, parts, alphas)
    _launch(_gradients, blocks * across, *given, rows, columns, steps, *tile, CHUNK)
    grid = triton.cdiv(2 * columns, 64) + 1
    _launch(_sums, grid, parts, alphas, sums, blocks, 2 * columns, blocks * across, 32, 64)


def _sizes(x: torch.Tensor) -> tuple[int, int, int, int]:
    """Return rows and columns of x, and of a tile of it."""
    columns, elements = x.shape[-1], BLOCK_BYTES // x.element_size()
    across = min(elements, triton.next_power_of_2(columns))
    return x.numel() // columns, columns, elements // across, across


def _launch(kernel: Any, grid: int, *args: Any) -> None:
    with torch.cuda.device_of(args[0]):  # Triton launches on the current device
        kernel[(grid,)](*args, num_warps=WARPS, enable_fp_fusion=False)


@triton.jit(do_not_specialize=["rows"])
def _values(
    x: tl.tensor,
    alpha: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
) -> None:
    wide: tl.constexpr = tl.float64 if x.dtype.element_ty == tl.float64 else tl.float32
    across = (columns + tile_columns - 1) // tile_columns
    row = (tl.program_id(0) // across).to(tl.int64) * tile_rows + tl.arange(0, tile_rows)[:, None]
    column = (tl.program_id(0) % across) * tile_columns + tl.arange(0, tile_columns)[None, :]
    inside = (row < rows) & (column < columns)
    i = row * columns + column
    u = tl.load(alpha).to(wide) * tl.load(x + i, mask=inside).to(wide)
    f = tl.where(tl.abs(u) == float("inf"), _sign(u), divide(u, 1 + tl.abs(u)))
    gamma = tl.load(weight + column, mask=column < columns)
    beta = tl.load(bias + column, mask=column < columns)
    tl.store(out + i, (gamma * f + beta).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _sign(u: tl.tensor) -> tl.tensor:
    return tl.where(u < 0, -1.0, 1.0).to(u.dtype)


# Where u is infinite, f is 1 or -1, r and dx are 0, and alpha's gradient gets nothing.
@triton.jit(do_not_specialize=["rows", "steps"])
def _gradients(
    x: tl.tensor,
    alpha: tl.tensor,
    dy: tl.tensor,
    weight: tl.tensor,
    dx: tl.tensor,
    parts: tl.tensor,
    alphas: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    steps: tl.tensor,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    chunk: tl.constexpr,
) -> None:
    wide: tl.constexpr = tl.float64 if x.dtype.element_ty == tl.float64 else tl.float32
    across = (columns + tile_columns - 1) // tile_columns
    block = (tl.program_id(0) // across).to(tl.int64)
    column = (tl.program_id(0) % across) * tile_columns + tl.arange(0, tile_columns)[None, :]
    a = tl.load(alpha).to(wide)
    gamma = tl.load(weight + column, mask=column < columns, other=0)
    dgamma = tl.full((tile_rows, tile_columns), 0, wide)
    dbeta = tl.full((tile_rows, tile_columns), 0, wide)
    dalpha = tl.full((tile_rows, tile_columns), 0, wide)
    for start in range(0, steps, chunk):
        few_dgamma = tl.full((tile_rows, tile_columns), 0, wide)
        few_dbeta = tl.full((tile_rows, tile_columns), 0, wide)
        few_dalpha = tl.full((tile_rows, tile_columns), 0, wide)
        for step in range(start, tl.minimum(start + chunk, steps)):
            row = (block * steps + step) * tile_rows + tl.arange(0, tile_rows)[:, None]
            inside = (row < rows) & (column < columns)
            i = row * columns + column
            number = tl.load(x + i, mask=inside, other=0).to(wide)
            weighed = tl.load(dy + i, mask=inside, other=0).to(wide)
            u = a * number
            far = tl.abs(u) == float("inf")
            r = divide(1.0, 1 + tl.abs(u))
            g = weighed * gamma * r
            few_dgamma += weighed * tl.where(far, _sign(u), u * r)
            few_dbeta += weighed
            few_dalpha += tl.where(far, 0.0, g * (r * number))
            tl.store(dx + i, (a * g * r).to(dx.dtype.element_ty), mask=inside)
        dgamma += few_dgamma
        dbeta += few_dbeta
        dalpha += few_dalpha
    column = tl.reshape(column, (tile_columns,))
    place = parts + block * 2 * columns + column
    tl.store(place, tl.sum(dgamma, 0), mask=column < columns)
    tl.store(place + columns, tl.sum(dbeta, 0), mask=column < columns)
    tl.store(alphas + tl.program_id(0), tl.sum(tl.sum(dalpha, 0), 0))


# Over all blocks, in float64: `width` columns of parts, and in the last program the parts of alpha.
@triton.jit(do_not_specialize=["blocks", "count"])
def _sums(
    parts: tl.tensor,
    alphas: tl.tensor,
    sums: tl.tensor,
    blocks: tl.tensor,
    columns: tl.tensor,
    count: tl.tensor,
    height: tl.constexpr,
    width: tl.constexpr,
) -> None:
    total = tl.full((height, width), 0, tl.float64)
    row = tl.arange(0, height)[:, None]
    column = tl.program_id(0) * width + tl.arange(0, width)[None, :]
    if tl.program_id(0) < tl.num_programs(0) - 1:
        for start in range(0, blocks, height):
            inside = (start + row < blocks) & (column < columns)
            i = (start + row).to(tl.int64) * columns + column
            total += tl.load(parts + i, mask=inside, other=0).to(tl.float64)
        flat = tl.reshape(column, (width,))  # Triton 3.6 lets no branch change a variable's shape
        tl.store(sums + flat, tl.sum(total, 0), mask=flat < columns)
    else:
        for start in range(0, count, height * width):
            i = start + row * width + tl.arange(0, width)[None, :]
            total += tl.load(alphas + i, mask=i < count, other=0).to(tl.float64)
        tl.store(sums + columns, tl.sum(tl.sum(total, 0), 0))
