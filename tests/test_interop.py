"""Arrays of other libraries pass through the ufuncs and come back as their own kind."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import sparse
import xarray as xr
from dask.distributed import Client, LocalCluster

import softsign
from tests.helpers import NAMES, UNARY, Array, arguments, assert_same_bits, ufunc

X = np.linspace(-0.9, 0.9, 12)

by_name = pytest.mark.parametrize("name", NAMES)
by_unary_name = pytest.mark.parametrize("name", UNARY)


@by_name
def test_pandas_series(name: str) -> None:
    index = pd.Index(list("abcdefghijkl"), name="key")
    inputs = [pd.Series(a, index=index, name="signal") for a in arguments(name, X)]
    result = ufunc(name)(*inputs)
    assert isinstance(result, pd.Series)
    assert result.name == "signal"
    assert result.index.equals(index)
    assert_same_bits(result.to_numpy(), ufunc(name)(*arguments(name, X)))


def test_pandas_aligns_by_index() -> None:
    x = pd.Series([1.0, 3.0], index=["a", "b"])
    dy = pd.Series([16.0, 4.0], index=["b", "a"])
    assert softsign.gradient(x, dy).to_dict() == {"a": 1.0, "b": 1.0}


def test_pandas_frame() -> None:
    frame = pd.DataFrame({"p": [0.0, 1.0], "q": [3.0, -3.0]}, index=[10, 20])
    expected = pd.DataFrame({"p": [0.0, 0.5], "q": [0.75, -0.75]}, index=[10, 20])
    pd.testing.assert_frame_equal(softsign.softsign(frame), expected)


@by_name
def test_xarray(name: str) -> None:
    coords = {"row": [10, 20, 30], "column": list("wxyz")}
    inputs = [xr.DataArray(a.reshape(3, 4), coords, name="signal") for a in arguments(name, X)]
    result = ufunc(name)(*inputs)
    assert isinstance(result, xr.DataArray)
    assert result.dims == ("row", "column")
    assert result.name == "signal"
    assert all(result.coords[k].equals(inputs[0].coords[k]) for k in coords)
    assert_same_bits(result.to_numpy().ravel(), ufunc(name)(*arguments(name, X)))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        yield client


@by_name
def test_dask(name: str, client: Client) -> None:
    inputs = arguments(name, X)
    lazy = ufunc(name)(*(da.from_array(a, chunks=5) for a in inputs))
    assert isinstance(lazy, da.Array)
    assert lazy.chunks == ((5, 5, 2),)
    assert lazy.dtype == np.float64
    assert_same_bits(client.compute(lazy).result(), ufunc(name)(*inputs))


def test_dask_with_threads_inside_its_own(client: Client) -> None:
    x = da.linspace(-9, 9, 1 << 20, chunks=1 << 18)
    assert_same_bits(
        client.compute(softsign.softsign(x)).result(), softsign.softsign(x.compute(scheduler="sync"))
    )
    assert_same_bits(
        softsign.softsign(x).compute(scheduler="threads"), softsign.softsign(x.compute(scheduler="sync"))
    )


def test_xarray_on_dask(client: Client) -> None:
    lazy = softsign.softsign(xr.DataArray(X, dims="t").chunk(t=5))
    assert isinstance(lazy.data, da.Array)
    assert_same_bits(client.compute(lazy).result().to_numpy(), softsign.softsign(X))


@by_unary_name
def test_sparse(name: str) -> None:
    dense = np.where(np.arange(12) % 3, 0, X).reshape(3, 4)
    result = ufunc(name)(sparse.COO.from_numpy(dense))
    assert isinstance(result, sparse.COO)
    assert result.nnz == np.count_nonzero(dense)
    assert result.fill_value == ufunc(name)(0.0)  # 1 for the derivative: still sparse
    assert_same_bits(result.todense() + 0.0, ufunc(name)(dense) + 0.0)  # -0 where the fill value is -0


def test_sparse_gradient() -> None:
    x, dy = np.diag(X[:4]), np.diag(X[4:8])
    result = softsign.gradient(sparse.COO.from_numpy(x), sparse.COO.from_numpy(dy))
    assert isinstance(result, sparse.COO)
    assert_same_bits(result.todense(), softsign.gradient(x, dy))


@by_unary_name
def test_masked_array(name: str) -> None:
    x = np.ma.array(X, mask=np.arange(12) % 3 == 0)
    result = ufunc(name)(x)
    assert isinstance(result, np.ma.MaskedArray)
    assert np.array_equal(result.mask, x.mask)
    assert_same_bits(result.compressed(), ufunc(name)(x.compressed()))


def test_matrix() -> None:
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1.0, -3.0]])
    result = softsign.softsign(matrix)
    assert type(result) is np.matrix
    assert result.tolist() == [[0.5, -0.75]]


def test_memory_map(tmp_path: Any) -> None:
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=X.shape)
    mapped[:] = X
    assert softsign.softsign(mapped, out=mapped) is mapped
    assert_same_bits(np.fromfile(tmp_path / "x"), softsign.softsign(X))


class Metres(np.ndarray[Any, Any]):
    """A subclass without methods of its own."""


class Logged:
    """A duck array that says what it was asked."""

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return function, method, len(inputs), kwargs


class Refusing:
    __array_ufunc__ = None


@by_name
def test_subclasses_and_array_ufunc(name: str) -> None:
    f, inputs = ufunc(name), arguments(name, X)
    result = f(*(a.view(Metres) for a in inputs))
    assert type(result) is Metres
    assert type(f(*(a.view(Metres) for a in inputs), subok=False)) is np.ndarray
    assert f(*(Logged(),) * f.nin) == (f, "__call__", f.nin, {})
    assert f(*inputs[:-1], Logged(), where=True)[3] == {"where": True}
    assert f(*inputs, out=Logged())[0] is f
    with pytest.raises(TypeError, match="does not support ufuncs"):
        f(*inputs[:-1], Refusing())


@by_name
@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=lambda p: p.__name__)
def test_pickle(name: str, pickler: Any) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickler.dumps(ufunc(name), protocol)) is ufunc(name)


@by_name
def test_copy(name: str) -> None:
    assert copy.copy(ufunc(name)) is ufunc(name)
    assert copy.deepcopy(ufunc(name)) is ufunc(name)


def test_closures_travel_to_other_processes(client: Client) -> None:
    def twice(x: Array) -> Any:
        return softsign.softsign(softsign.softsign(x))

    assert_same_bits(client.submit(twice, X).result(), twice(X))
