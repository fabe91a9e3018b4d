"""The kinds of cases that tests/fuzz.py tries: `draw` makes one, `check` raises if it is answered wrongly.

A case is a dictionary of what JSON can hold, so that one that was answered wrongly can be kept.
"""

import base64
import contextlib
import gzip
import pickle
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

import softsign
from softsign import accuracy, stream
from softsign.functions import ORDERS, bound
from tests.helpers import BFLOAT16, BINARY, NAMES, Array, assert_same_bits, threads, ufunc

Case = dict[str, Any]
Rng = np.random.Generator


class Kind(NamedTuple):
    """How cases of one kind are made and judged."""

    draw: Callable[[Rng], Case]
    check: Callable[[Case], None]


# Ufuncs, on arrays of every layout and by every method, against contiguous copies and loops of Python


UFUNC_DTYPES = {name: BFLOAT16 if name == "bfloat16" else np.dtype(name) for name in ("float16", "bfloat16")}
UFUNC_DTYPES |= {name: np.dtype(name) for name in ("float32", "float64", ">f4", ">f8")}
WITHOUT_METHODS = ("nth_derivative", "scaled_gradient")
METHODS = ("reduce", "accumulate", "reduceat", "at", "outer")
LARGE = 300_000  # elements, with which threads help


def draw_ufunc(rng: Rng) -> Case:
    name = str(rng.choice(NAMES))
    methods = {True: METHODS, False: ("at",)}[name in BINARY] if name not in WITHOUT_METHODS else ()
    size = LARGE if rng.random() < 0.01 else int(rng.integers(0, int(rng.choice([4, 40, 400]))))
    shape = [int(n) for n in rng.integers(1, 5, int(rng.integers(3)))]
    return {
        "function": name,
        "method": str(rng.choice(methods)) if methods and rng.random() < 0.4 else "call",
        "dtype": str(rng.choice(list(UFUNC_DTYPES))),
        "shape": [int(n) for n in rng.permutation([*shape, size // int(np.prod(shape, dtype=int))])],
        "views": [draw_view(rng) for _ in range(3)],
        "one_buffer": bool(rng.random() < 0.4),
        "out": str(rng.choice(["new", "given", "masked"])),
        "axis": int(rng.integers(3)),
        "threads": int(rng.integers(1, 4)),
        "seed": int(rng.integers(2**32)),
    }


def draw_view(rng: Rng) -> Case:
    return {
        "order": [int(axis) for axis in rng.permutation(3)],
        "steps": [int(rng.choice([1, 1, 1, -1, 2, -3])) for _ in range(3)],
        "offset": int(rng.integers(9)),
        "misaligned": bool(rng.random() < 0.2),
    }


def view(buffer: bytearray, dtype: np.dtype[Any], shape: Sequence[int], given: Case) -> Array:
    """Return an array somewhere in the bytes of a buffer."""
    strides, extent = [0] * len(shape), dtype.itemsize
    start = given["offset"] * dtype.itemsize + given["misaligned"]
    for axis in sorted(range(len(shape)), key=given["order"].__getitem__):
        strides[axis] = extent * given["steps"][axis]
        extent = max(shape[axis], 1) * abs(strides[axis])
        start -= min(0, max(shape[axis] - 1, 0) * strides[axis])
    return np.ndarray(shape, dtype, buffer, start, strides)


def plain(a: Array) -> Array:
    """Return a contiguous copy in the byte order of the machine."""
    return np.array(a, a.dtype if a.dtype == BFLOAT16 else a.dtype.newbyteorder("="), order="C")


def numbers(rng: Rng, dtype: np.dtype[Any], count: int) -> bytearray:
    """Return the bytes of numbers of every size, special values among them."""
    wide = rng.normal(0, 2, 4096) * 2.0 ** rng.integers(-9, 9, 4096)
    special = rng.choice([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 2.0**-140, 1e30], 4096)
    some = np.where(rng.random(4096) < 0.1, special, wide).astype(dtype)
    return bytearray(np.resize(some, count).tobytes() + bytes(64))


def check_ufunc(case: Case) -> None:
    dtype, shape = UFUNC_DTYPES[case["dtype"]], case["shape"]
    rng = np.random.default_rng(case["seed"])
    with np.errstate(all="ignore"), threads(case["threads"]):
        count = 64 + 27 * int(np.prod(np.maximum(shape, 1)))  # steps of up to 3 along each of 3 axes
        buffers = [numbers(rng, dtype, count) for _ in range(1 if case["one_buffer"] else 3)] * 3
        x, y, out = (
            view(*each) for each in zip(buffers, [dtype] * 3, [shape] * 3, case["views"], strict=False)
        )
        if case["method"] == "call":
            check_call(case, x, y, out, rng)
        else:
            check_method(case, x, y, rng)


def check_call(case: Case, x: Array, y: Array, out: Array, rng: Rng) -> None:
    name, f, dtype = case["function"], ufunc(case["function"]), x.dtype
    first, second = (rng.integers(0, len(ORDERS), x.shape), x) if name == "nth_derivative" else (x, y)
    arguments = [first, second, x][: f.nin]
    copies, before, mask = [plain(a) for a in arguments], plain(out), rng.random(x.shape) < 0.7
    expected = f(*copies)
    if case["out"] == "new":
        assert_same_bits(f(*arguments), expected)
    elif case["out"] == "given":
        assert_same_bits(plain(f(*arguments, out=out)), expected)
    else:
        assert_same_bits(plain(f(*arguments, out=out, where=mask)), np.where(mask, expected, before))
    if not x.size:
        return
    few = [a.ravel()[:30] for a in copies]
    if name == "nth_derivative":
        few[0] = np.full_like(few[0], few[0][0])  # errors are measured for one order
    if name == "gradient_from_output":
        few[0] = np.clip(few[0], -1, 1).astype(few[0].dtype)
    worst = accuracy.measure(name, f(*few), *few).worst
    assert worst <= bound(name, plain(np.empty(0, dtype)).dtype.name, "numpy"), f"an error of {worst} ulp"


def folds(f: np.ufunc, lanes: Array) -> Array:
    """Return f(... f(f(lane 0, lane 1), lane 2) ...) at each lane."""
    found = [lanes[0]]
    for lane in lanes[1:]:
        found.append(np.asarray(f(found[-1].copy(), lane.copy())))
    return np.array(found)


def check_method(case: Case, x: Array, y: Array, rng: Rng) -> None:
    f, method, axis = ufunc(case["function"]), case["method"], case["axis"] % x.ndim
    x = np.moveaxis(np.moveaxis(x, axis, 0)[:50], 0, axis)
    lanes = np.moveaxis(plain(x), axis, 0)
    if method == "outer":
        few, others = plain(x).ravel()[:9], plain(y).ravel()[:9]
        assert_same_bits(f.outer(few, others), f(few[:, None], others[None, :]))
    elif not len(lanes):
        return
    elif method == "reduce":
        assert_same_bits(plain(np.asarray(f.reduce(x, axis))), folds(f, lanes)[-1])
    elif method == "accumulate":
        assert_same_bits(plain(f.accumulate(x, axis)), np.moveaxis(folds(f, lanes), 0, axis))
    elif method == "reduceat":
        half = len(lanes) // 2
        parts = [folds(f, lanes[:half] if half else lanes[:1])[-1], folds(f, lanes[half:])[-1]]
        assert_same_bits(plain(f.reduceat(x, [0, half], axis)), np.stack(parts, axis))
    else:
        places = rng.integers(0, len(lanes), 20)
        more = [rng.normal(size=20).astype(lanes.dtype)][: f.nin - 1]
        for i, place in enumerate(places):
            lanes[place] = f(lanes[place].copy(), *(other[i] for other in more))
        moved = np.moveaxis(x, axis, 0)
        f.at(moved, places, *(other.reshape((20,) + (1,) * (x.ndim - 1)) for other in more))
        assert_same_bits(plain(moved), lanes)


# Nets and the models that they become, against PyTorch's autograd on formulas


@cache
def truths() -> dict[str, tuple[int, Callable[..., Any]]]:
    """Number of inputs and value of the operators that nets are made of, on tensors of float64."""
    import torch

    def slope(x: Any) -> Any:
        return (1 + x.abs()) ** -2

    return {
        "Softsign": (1, lambda x: x / (1 + x.abs())),
        "SoftsignDerivative": (1, slope),
        "SoftsignSecondDerivative": (1, lambda x: -2 * x.sgn() * (1 + x.abs()) ** -3),
        "SoftsignAntiderivative": (1, lambda x: x.abs() - torch.log1p(x.abs())),
        "SoftsignSecondAntiderivative": (
            1,
            lambda x: x.sgn() * (x**2 / 2 + x.abs() - (1 + x.abs()) * torch.log1p(x.abs())),
        ),
        "SoftsignLogJacobian": (1, lambda x: -2 * torch.log1p(x.abs())),
        "SoftsignGradient": (2, lambda x, dy: dy * slope(x)),
        "SoftsignLogJacobianGradient": (2, lambda x, dy: -2 * dy * x.sgn() / (1 + x.abs())),
        "Tanh": (1, torch.tanh),
        "Sigmoid": (1, torch.sigmoid),
        "Softmax": (1, lambda x: torch.softmax(x, -1)),
        "Neg": (1, torch.neg),
        "Identity": (1, torch.clone),
        "Transpose": (1, lambda x: x.T),
        "Add": (2, torch.add),
        "Sub": (2, torch.sub),
        "Mul": (2, torch.mul),
        "MatMul": (2, torch.matmul),
        "Sum": (3, lambda a, b, c: a + b + c),
        "Gemm": (3, lambda a, b, c: a @ b + c),
    }


def draw_net(rng: Rng) -> Case:
    blobs = ["X", "W"]
    steps: list[tuple[str, list[str], str]] = []
    for i in range(int(rng.integers(1, 9))):
        name = str(rng.choice(list(truths())))
        inputs = [str(blob) for blob in rng.choice(blobs[-4:], truths()[name][0])]
        in_place = name == "Softsign" and rng.random() < 0.3 and inputs[0] not in ("X", "W")
        steps.append((name, inputs, inputs[0] if in_place else f"h{i}"))
        blobs.append(steps[-1][2])
    return {
        "steps": [list(step) for step in steps],
        "size": int(rng.integers(1, 4)),
        "seed": int(rng.integers(2**32)),
    }


def check_net(case: Case) -> None:
    import torch

    from softsign.onnx import gradients, run, to_model
    from softsign.operator import Net, SchemaError, TensorType, Workspace

    rng, size = np.random.default_rng(case["seed"]), case["size"]
    feeds = {name: rng.normal(0, 1.5, (size, size)) for name in ("X", "W")}
    leaves = {name: torch.from_numpy(value).requires_grad_() for name, value in feeds.items()}
    types = {name: TensorType(np.dtype(np.float64), (size, size)) for name in feeds}
    net, values = Net("fuzz"), dict(leaves)
    net.types.update(types)
    for name, inputs, output in case["steps"]:
        net.add(name, inputs, output)
        values[output] = truths()[name][1](*(values[blob] for blob in inputs))
        if not ((values[output] != 0) & (values[output].abs() < 1e3)).all():
            return  # at 0 the derivatives have corners, and large numbers leave no digits of the rest
    last = case["steps"][-1][2]
    loss = values[last].sum()
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    expected = {
        name: np.zeros((size, size)) if slope is None else slope.numpy()
        for name, slope in zip(leaves, found, strict=True)
    }
    tolerance = 1e-9 * max(1.0, *(float(np.abs(slope).max()) for slope in expected.values()))
    forward = Net("fuzz")
    for step in case["steps"]:
        forward.add(*step)
    try:
        made = net.add_gradients([last])
    except SchemaError as error:
        if "has overwritten" not in str(error):
            raise
    else:
        workspace = Workspace()
        for name, value in feeds.items():
            workspace.feed(name, value)
        workspace.run(net)
        for name, slope in expected.items():
            actual = workspace.fetch(made[name]) if name in made else np.zeros((size, size))
            np.testing.assert_allclose(actual, slope, rtol=0, atol=tolerance, err_msg=name)
    forward.add("ReduceSum", last, "L", keepdims=0)
    model = gradients(
        to_model(forward, {name: types[name] for name in forward.inputs}),
        "L",
        [n for n, s in zip(leaves, found, strict=True) if s is not None],
    )
    used = {value.name for value in model.graph.input}
    for engine in ("onnxruntime", "softsign"):
        results = run(model, {name: value for name, value in feeds.items() if name in used}, engine=engine)
        for name, slope in expected.items():
            actual = results.get(f"{name}_grad", np.zeros((size, size)))
            np.testing.assert_allclose(actual, slope, rtol=0, atol=tolerance, err_msg=f"{engine}: {name}")


# Files with wrong bytes: read, or refused as documented


def damaged(rng: Rng, content: bytes) -> bytes:
    """Return bytes with some changed, left out, put in, or doubled, or with a large number among them."""
    found = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at, length = int(rng.integers(len(found) + 1)), int(rng.choice([1, 1, 4, 8]))
        fillers = [
            rng.bytes(length),
            b"\xff" * length,
            b"\x7f" * length,
            bytes(length),
            bytes(found[at:][:64]),
        ]
        found[at : at + int(rng.choice([0, length, 64]))] = fillers[int(rng.integers(len(fillers)))]
        if rng.random() < 0.1:
            del found[at:]
    return bytes(found)


def read_model(path: Path) -> None:
    from softsign.onnx import ModelError, fix_softsign, gradients, load_model

    for foreign in (False, True):
        with contextlib.suppress(ModelError):
            model = load_model(path, foreign=foreign)
            fix_softsign(model)
            for output in model.graph.output:
                with contextlib.suppress(ModelError):
                    gradients(model, output.name, [value.name for value in model.graph.input])


def read_array(path: Path) -> None:
    with contextlib.suppress(ValueError, TypeError):
        stream.apply(softsign.softsign, path, path.with_suffix(".out"))
        expected = np.load(path)  # whatever is taken, NumPy takes, and it means the same
        with np.errstate(all="ignore"):
            assert_same_bits(np.load(path.with_suffix(".out")), softsign.softsign(expected))


def read_dataset(path: Path) -> None:
    from softsign.data.files import DatasetError, load

    with contextlib.suppress(DatasetError):
        load(path.parent)


def read_study(path: Path) -> None:
    from softsign.study.folder import Study
    from softsign.study.workers import StudyError

    with contextlib.suppress(StudyError):
        Study(path.parent)


def read_checkpoint(path: Path) -> None:
    """A damaged checkpoint is noticed: the training begins again, and gives the same."""
    from softsign.study.training import train
    from tests.test_study_training import trained, without_time

    trial = short_trial()
    found = without_time(train(trial, path.parent))
    notes = found.pop("notes")
    assert found | {"notes": []} == trained(trial)
    assert notes in ([], [f"{path.name} was damaged, so this training began again"]), notes


def short_trial() -> Any:
    from tests.test_study_runs import small

    return small(depth=1, width=5, updates=4)


class Reader(NamedTuple):
    """What reads a file, the name that it must have, and files that are right."""

    read: Callable[[Path], None]
    name: Callable[[], str]
    whole: Callable[[Path], list[bytes]]


def whole_models(folder: Path) -> list[bytes]:
    from tests.onnx_helpers import IF, model_of

    bodies = [
        "y = softsign.SoftsignAntiderivative (x)",
        "a = Abs (x) one = Constant <value = float {1.0}> () b = Add (a, one) y = Div (x, b)",
        "h = Softsign (x) t = Tanh (h) y = Mul (t, x)",
    ]
    return [
        *(model_of(body, initializers="float[2] w = {1, 2}").SerializeToString() for body in bodies),
        model_of(IF, inputs="bool c, float[n] x").SerializeToString(),
    ]


def whole_arrays(folder: Path) -> list[bytes]:
    found = []
    for dtype in ("<f4", ">f8", "<f2", "<i4"):
        np.save(folder / "x.npy", np.arange(-6, 6).reshape(3, 4).astype(dtype))
        found.append((folder / "x.npy").read_bytes())
    return found


def whole_images(folder: Path) -> list[bytes]:
    from tests.test_data_files import IMAGES, write_mnist

    write_mnist(folder)
    return [(folder / IMAGES).read_bytes()]


def whole_compressed(folder: Path) -> list[bytes]:
    content = gzip.compress(whole_images(folder)[0], mtime=0)
    for path in folder.iterdir():
        if path.name.startswith("train-images"):
            path.unlink()
    return [content]


def whole_batches(folder: Path) -> list[bytes]:
    from tests.test_data_files import batch, write_cifar

    write_cifar(folder)
    return [pickle.dumps(batch(1), protocol) for protocol in (2, 4)]


def whole_checkpoints(folder: Path) -> list[bytes]:
    from softsign.study import training
    from tests.test_study_training import StopError, stop_at

    with contextlib.suppress(StopError), mock.patch.object(training, "REPORT_EVERY", 0.0):
        training.train(short_trial(), folder, stop_at(2))
    return [(folder / short_trial().checkpoint).read_bytes()]


def whole_studies(folder: Path) -> list[bytes]:
    from softsign.study.folder import FILE, Study
    from softsign.study.training import train

    study = Study(folder, [short_trial()])
    study.results = {short_trial().name: train(short_trial(), folder)}
    study.save()
    return [(folder / FILE).read_bytes()]


READERS = {
    "model": Reader(read_model, lambda: "model.onnx", whole_models),
    "array": Reader(read_array, lambda: "x.npy", whole_arrays),
    "images": Reader(read_dataset, lambda: "train-images-idx3-ubyte", whole_images),
    "compressed images": Reader(read_dataset, lambda: "train-images-idx3-ubyte.gz", whole_compressed),
    "batch": Reader(read_dataset, lambda: "data_batch_1", whole_batches),
    "checkpoint": Reader(read_checkpoint, lambda: str(short_trial().checkpoint), whole_checkpoints),
    "study": Reader(read_study, lambda: "study.json", whole_studies),
}


@cache
def whole(reader: str) -> tuple[dict[str, bytes], list[bytes]]:
    """Return the other files that the reader needs, and right contents of the one that is damaged."""
    with tempfile.TemporaryDirectory() as place:
        contents = READERS[reader].whole(Path(place))
        own = READERS[reader].name()
        return {p.name: p.read_bytes() for p in Path(place).iterdir() if p.name != own}, contents


def draw_file(rng: Rng) -> Case:
    reader = str(rng.choice(list(READERS)))
    contents = whole(reader)[1]
    content = damaged(rng, contents[int(rng.integers(len(contents)))])
    return {"reader": reader, "content": base64.b64encode(content).decode()}


def check_file(case: Case) -> None:
    reader = READERS[case["reader"]]
    with tempfile.TemporaryDirectory() as place:
        for name, content in whole(case["reader"])[0].items():
            Path(place, name).write_bytes(content)
        path = Path(place, reader.name())
        path.write_bytes(base64.b64decode(case["content"]))
        reader.read(path)


KINDS = {
    "ufunc": Kind(draw_ufunc, check_ufunc),
    "net": Kind(draw_net, check_net),
    "file": Kind(draw_file, check_file),
}
