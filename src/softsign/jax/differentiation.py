"""How the functions of `softsign.jax` are differentiated: custom JVP rules on one primitive.

The tangent of a function f is f'(x) times the tangent of x. As a product of JAX's it would have to be
multiplied from one side or the other: reverse mode over reverse mode multiplies the two cotangents first,
which overflows where their product with f''(x) does not. The primitive is the product of a member's value and
any number of factors, in which it is linear, so that all of them are at hand when they are multiplied. It
also keeps the argument and no value of a derivative from the forward to the backward pass.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from softsign.jax.arithmetic import Member, multiplied

__all__ = ["applied"]

_product = Primitive("softsign_product")


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def applied(member: Member, x: Any, *factors: Any) -> Any:
    """Return a member at x times the factors, all arrays of one shape and floating dtype.

    Parameters
    ----------
    member : Member
        The function.
    x : jax.Array
        Its argument.
    *factors : jax.Array
        What it is multiplied by.

    Returns
    -------
    jax.Array
        Of the shape and dtype of `x`.
    """
    return multiplied(member, x, *factors)


@applied.defjvp  # type: ignore[untyped-decorator]
def _applied_jvp(member: Member, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    beside = Member("clamped_softsign") if member == Member("softsign") else member
    return applied(beside, *primals), _tangent(member, primals, tangents)


def _tangent(member: Member, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Return the sum of the products in which one of the primals is replaced by its tangent."""
    x, *factors = primals
    terms = []
    if not isinstance(tangents[0], ad.Zero):
        terms.append(_bound(member.derivative, x, *factors, tangents[0]))
    for place, tangent in enumerate(tangents[1:]):
        if not isinstance(tangent, ad.Zero):
            terms.append(_bound(member, x, *factors[:place], *factors[place + 1 :], tangent))
    return functools.reduce(jnp.add, terms)


def _bound(member: Member, *arrays: Any) -> Any:
    """Bind the primitive to arrays that vary over the same axes of `jax.shard_map`."""
    varying = [_varying(array) for array in arrays]
    axes = frozenset().union(*varying)
    if any(axes - own for own in varying):
        arrays = tuple(
            lax.pcast(array, tuple(axes - own), to="varying")
            for array, own in zip(arrays, varying, strict=True)
        )
    return _product.bind(*arrays, member=member)


def _varying(array: Any) -> frozenset[Any]:
    """Return the axes of `jax.shard_map` over which an array varies, which JAX has renamed once."""
    kind = jax.typeof(array)
    found: frozenset[Any] = kind.mat.varying if hasattr(kind, "mat") else getattr(kind, "vma", frozenset())
    return found


@functools.partial(jax.jit, static_argnums=0)
def _compiled(member: Member, *arrays: Any) -> Any:
    return multiplied(member, *arrays)


@_product.def_impl  # type: ignore[untyped-decorator]
def _computed(*arrays: Any, member: Member) -> Any:
    return _compiled(member, *arrays)


@_product.def_abstract_eval  # type: ignore[untyped-decorator]
def _shaped(x: Any, *factors: Any, member: Member) -> Any:
    return x.update(weak_type=False)


def _product_jvp(primals: Sequence[Any], tangents: Sequence[Any], *, member: Member) -> tuple[Any, Any]:
    return _bound(member, *primals), _tangent(member, primals, tangents)


def _transposed(cotangent: Any, *operands: Any, member: Member) -> list[Any]:
    """Return the cotangent of the factor in which the product is taken as linear."""
    known = [operand for operand in operands if not ad.is_undefined_primal(operand)]
    product = cotangent if isinstance(cotangent, ad.Zero) else _bound(member, *known, cotangent)
    return [product if ad.is_undefined_primal(operand) else None for operand in operands]


def _batched(arrays: Sequence[Any], axes: Sequence[Any], *, member: Member) -> tuple[Any, int]:
    size = next(array.shape[axis] for array, axis in zip(arrays, axes, strict=True) if axis is not None)
    moved = (
        jnp.broadcast_to(array, (size, *array.shape)) if axis is None else jnp.moveaxis(array, axis, 0)
        for array, axis in zip(arrays, axes, strict=True)
    )
    return _bound(member, *moved), 0


ad.primitive_jvps[_product] = _product_jvp
ad.primitive_transposes[_product] = _transposed
batching.primitive_batchers[_product] = _batched
mlir.register_lowering(
    _product,
    mlir.lower_fun(lambda *arrays, member: multiplied(member, *arrays), multiple_results=False),
)
