from typing import Final, SupportsIndex, TypeAlias, TypedDict, type_check_only

import numpy as np
from numpy.typing import NDArray

_Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

@type_check_only
class _CpuFeatures(TypedDict):
    kernels: str
    available: tuple[str, ...]
    last_level_cache: int
    streams_from: int

antiderivative: Final[np.ufunc]

def cpu_features() -> _CpuFeatures: ...

derivative: Final[np.ufunc]

def get_num_threads() -> int: ...

gradient: Final[np.ufunc]
gradient_from_output: Final[np.ufunc]
inverse: Final[np.ufunc]
log_jacobian: Final[np.ufunc]
nth_derivative: Final[np.ufunc]
scaled: Final[np.ufunc]
scaled_gradient: Final[np.ufunc]
second_antiderivative: Final[np.ufunc]
second_derivative: Final[np.ufunc]
segment_mean: Final[np.ufunc]
segment_moments: Final[np.ufunc]
segment_ramp: Final[np.ufunc]

def set_num_threads(n: SupportsIndex, /) -> None: ...

softsign: Final[np.ufunc]

_functions: Final[tuple[str, ...]]
_max_order: Final[int]
_types: Final[tuple[str, ...]]

def _advise_huge_pages(address: int, bytes: int, /) -> None: ...
def _compute(function: int, type: int, n: int, threads: int, /, *addresses: int) -> None: ...
def _fir(x: _Floats, taps: _Floats, out: _Floats, /) -> None: ...
def _layer(type: int, rows: int, columns: int, threads: int, alpha: float, /, *addresses: int) -> None: ...
def _use_kernels(name: str, /) -> None: ...
