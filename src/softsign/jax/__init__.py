"""Softsign for JAX: right at infinity, in half precision and in every derivative. Needs the extra ``jax``.

The functions are compositions of XLA's operations with JVP rules of their own: they fuse, shard and batch as
any other, and differentiate in forward and reverse mode to any order. They take what `jax.nn.soft_sign`
takes: integers and bool become the default floating type first, Python scalars stay weakly typed, and float64
needs ``jax_enable_x64``. Types of fewer than 32 bits are computed in float32, derivatives included, and
rounded once. Subnormal numbers are what XLA makes of them: on the CPU it takes and returns zeros for them.
Reverse mode keeps the argument alone.

Examples
--------
>>> import jax
>>> import jax.numpy as jnp
>>> from softsign.jax import softsign
>>> softsign(jnp.array([-jnp.inf, -3, 0, 1], jnp.bfloat16))
Array([-1, -0.75, 0, 0.5], dtype=bfloat16)
>>> jax.grad(softsign)(jnp.float32(1e6))  # jax.nn.soft_sign: 1.02e-12
Array(9.99998e-13, dtype=float32)
"""

try:
    import jax as _jax  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "jax":
        raise
    raise ModuleNotFoundError("softsign.jax needs JAX: pip install 'softsign[jax]'", name="jax") from error

from softsign.jax import functional, initializers
from softsign.jax.bijector import SoftsignBijector
from softsign.jax.functional import *

__all__ = ["SoftsignBijector", "initializers"]
__all__ += functional.__all__
