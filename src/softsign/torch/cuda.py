"""Softsign and its gradients on CUDA tensors, as Triton kernels: one pass over memory each.

The caller sees to it that all tensors of a call have one dtype, device, number of elements and dense memory
order. The kernels run through the memory from the first element to the last and know of no shape; `out` may
be one of the inputs.

Every step of the arithmetic is exact, or rounded once as IEEE 754 says, or its error is proved not to decide
the result, so that the bits are the same on every GPU and in Triton's interpreter. The last is so of the
plain division of float32 in softsign (PTX's div.full errs by 2 ulp), which elsewhere would break that, as
would a product and a sum contracted into an fma where none is written. No step leaves the input's precision
for a wider one but from the 16-bit types to float32: many GPUs have 64 times less throughput in float64.

Notation: u is the unit roundoff (2^-24 or 2^-53), t + e the exact value of 1 + |x| or 1 - |y|.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

__all__ = ["gradient", "gradient_from_output", "softsign"]

#: Bytes of each operand for one block of 128 threads: two accesses of 16 bytes, the widest there are, per
#: thread.
BLOCK_BYTES = 4096
WARPS = 4


def softsign(x: torch.Tensor, out: torch.Tensor) -> None:
    """Write x / (1 + abs(x)), correctly rounded, to `out`.

    Zeros keep their sign, infinities give 1 and -1, nan passes.

    Parameters
    ----------
    x : torch.Tensor
        On a CUDA device, dense in memory; float16, bfloat16, float32 or float64.
    out : torch.Tensor
        Of the same dtype, device, number of elements and memory order. May be `x`.
    """
    _launch(_map_one, _softsign, x, out)


def gradient(x: torch.Tensor, dy: torch.Tensor, out: torch.Tensor) -> None:
    """Write dy / (1 + abs(x))**2, within 1 ulp, to `out`.

    Nothing overflows or underflows on the way. At an infinite `x` the result is zero with the sign of a
    finite `dy`.

    Parameters
    ----------
    x, dy, out : torch.Tensor
        As in `softsign`; `out` may be `x` or `dy`.
    """
    _launch(_map_two, _gradient, x, dy, out)


def gradient_from_output(y: torch.Tensor, dy: torch.Tensor, out: torch.Tensor) -> None:
    """Write dy * (1 - abs(y))**2, the gradient from y = softsign(x), within 1 ulp of that to `out`.

    Parameters
    ----------
    y, dy, out : torch.Tensor
        As in `softsign`; `out` may be `y` or `dy`, and abs(y) is at most 1.
    """
    _launch(_map_two, _gradient_from_output, y, dy, out)


def _launch(kernel: Any, function: Any, *tensors: torch.Tensor) -> None:
    n, block = tensors[0].numel(), BLOCK_BYTES // tensors[0].element_size()
    if n == 0:
        return
    with torch.cuda.device_of(tensors[0]):  # Triton launches on the current device
        kernel[(triton.cdiv(n, block),)](
            function, *tensors, n, block, num_warps=WARPS, enable_fp_fusion=False
        )


# A mask would split the accesses into single elements unless n were known to be a multiple of 16, so all
# blocks but the last go without. Whether the pointers are multiples of 16 bytes Triton finds out and compiles
# for. The number of a block has 32 bits, the number of its first element needs 64.
@triton.jit(do_not_specialize=["n"])
def _map_one(function: tl.constexpr, x: tl.tensor, out: tl.tensor, n: tl.tensor, block: tl.constexpr) -> None:
    start = tl.program_id(0).to(tl.int64) * block
    i = tl.arange(0, block)
    if start + block <= n:
        tl.store(out + start + i, function(tl.load(x + start + i)))
    else:
        inside = i < n - start
        tl.store(out + start + i, function(tl.load(x + start + i, mask=inside)), mask=inside)


@triton.jit(do_not_specialize=["n"])
def _map_two(
    function: tl.constexpr, x: tl.tensor, dy: tl.tensor, out: tl.tensor, n: tl.tensor, block: tl.constexpr
) -> None:
    start = tl.program_id(0).to(tl.int64) * block
    i = tl.arange(0, block)
    if start + block <= n:
        tl.store(out + start + i, function(tl.load(x + start + i), tl.load(dy + start + i)))
    else:
        inside = i < n - start
        dx = function(tl.load(x + start + i, mask=inside), tl.load(dy + start + i, mask=inside))
        tl.store(out + start + i, dx, mask=inside)


# The 16-bit types: the formula in float32, rounded once more, which is correct for all their inputs.
@triton.jit
def _softsign(x: tl.tensor) -> tl.tensor:
    if x.dtype.primitive_bitwidth == 16:
        a = tl.abs(x.to(tl.float32))
        a = tl.where(a > 2.0**100, 2.0**100, a)  # inf/inf is nan
        # No result is nearer to a midpoint of bfloat16 than 2^-19.9 of itself: within 2^-22 is near enough.
        y = (a / (1 + a) if x.dtype == tl.bfloat16 else tl.div_rn(a, 1 + a)).to(x.dtype)
    else:
        y = _quotient(tl.abs(x))
    return _with_sign_of(y, x)


# a/(1 + a), correctly rounded, a >= 0.
#
# c is wrong by 2 ulp at most. That decides nothing here, so that float32 does without the slower div_rn. A
# Newton step takes q, wrong by at most 6 ulp, to y, wrong by less than 0.51. The result is y or `other`,
# the number next to it on the side of the exact quotient, and d = a - (y + h)(t + e) tells on which side of
# their midpoint y + h the quotient lies. a - y t and, where it matters, a - (y + h) t are exact. Near the
# midpoint, d is the small difference of h e and what the fma before the last one gives, which then has lost
# at most u h |e|. For a >= u/2 that is less than |d|, which is a multiple of h ulp(a) and not zero, as no
# quotient is a midpoint. For a < u/2 the result is a, and d has the sign of -h or is -0.
#
# From a = 1/u - 1 on, where e would cease to be exact, the result is 1 - u, and from 2/u on 1.
@triton.jit
def _quotient(x: tl.tensor) -> tl.tensor:
    integer: tl.constexpr = tl.int64 if x.dtype == tl.float64 else tl.int32
    bound: tl.constexpr = 2.0**53 if x.dtype == tl.float64 else 2.0**24  # 1/u
    a = tl.where(x > bound - 1, bound - 1, x)
    t = 1 + a
    e = a - (t - 1)
    c = 1.0 / t
    q = a * c
    y = tl.fma(tl.fma(-q, e, tl.fma(-q, t, a)), c, q)

    remainder = tl.fma(-y, t, a)
    above = tl.fma(-y, e, remainder) > 0
    other = (y.to(integer, bitcast=True) + tl.where(above, 1, -1)).to(x.dtype, bitcast=True)
    h = 0.5 * (other - y)
    d = tl.fma(-h, e, tl.fma(-y, e, tl.fma(-h, t, remainder)))
    return tl.where(x >= 2 * bound, 1.0, tl.where((d < 0) == above, y, other))


# c (1 + g) is 1/(t + e) but for a factor 1 + g^2, |g| < 2u. A large |x| is scaled by unit = 1/limit.
@triton.jit
def _gradient(x: tl.tensor, dy: tl.tensor) -> tl.tensor:
    if x.dtype.primitive_bitwidth == 16:
        r = tl.div_rn(1.0, 1 + tl.abs(x.to(tl.float32)))
        dx = ((dy.to(tl.float32) * r) * r).to(x.dtype)
    else:
        limit: tl.constexpr = _limit(x.dtype)
        unit = tl.where(tl.abs(x) < limit, 1.0, 1 / limit)
        a = tl.abs(x) * unit
        t = unit + a
        e = tl.minimum(unit, a) - (t - tl.maximum(unit, a))
        c = divide(1.0, t)
        g = tl.fma(-c, e, tl.fma(-c, t, 1.0))
        dx = _times_square(dy, c, c * g) * (unit * unit)
    return dx


@triton.jit
def _gradient_from_output(y: tl.tensor, dy: tl.tensor) -> tl.tensor:
    if y.dtype.primitive_bitwidth == 16:
        s = 1 - tl.abs(y.to(tl.float32))
        dx = ((dy.to(tl.float32) * s) * s).to(y.dtype)
    else:
        a = tl.abs(y)
        t = 1 - a
        dx = _times_square(dy, t, (1 - t) - a)
    return dx


# dy (c + c_low)^2 for |c_low| <= 2u |c|: two products in two parts each, off by some 16 u^2 before the last
# rounding.
#
# Small dy are scaled by limit^2. So wherever a low part would underflow, the result does too, with room to
# spare. A subnormal result is rounded a second time when the scale is taken off: 0.75 ulp. `low` is nan where
# an operand is infinite; h alone is right there, and where `low` is 0, too, as it may be -0.
@triton.jit
def _times_square(dy: tl.tensor, c: tl.tensor, c_low: tl.tensor) -> tl.tensor:
    limit: tl.constexpr = _limit(dy.dtype)
    small = tl.abs(dy) < 1 / limit
    d = tl.where(small, dy * (limit * limit), dy)
    z = d * c
    z_low = tl.fma(d, c_low, tl.fma(d, c, -z))
    h = z * c
    low = tl.fma(z_low, c, tl.fma(z, c_low, tl.fma(z, c, -h)))
    dx = tl.where(tl.abs(low) > 0, h + low, h)
    return tl.where(small, dx * (1 / (limit * limit)), dx)


@triton.constexpr_function
def _limit(dtype: tl.dtype) -> float:
    return 2.0**300 if dtype == tl.float64 else 2.0**30


@triton.jit
def divide(a: tl.tensor, t: tl.tensor) -> tl.tensor:  # numpydoc ignore=GL08
    # div_rn takes float32 alone; plain division of float64 always rounds to nearest.
    return a / t if t.dtype == tl.float64 else tl.div_rn(a, t)


# y >= 0 or nan. Negation would not do: a negative zero is not less than 0.
@triton.jit
def _with_sign_of(y: tl.tensor, x: tl.tensor) -> tl.tensor:
    bits: tl.constexpr = x.dtype.primitive_bitwidth
    integer: tl.constexpr = tl.int64 if bits == 64 else tl.int32 if bits == 32 else tl.int16
    sign = x.to(integer, bitcast=True) >> (bits - 1) << (bits - 1)
    return (y.to(integer, bitcast=True) | sign).to(x.dtype, bitcast=True)
