"""Schemas inherited from ONNX, and what they and the schemas here disagree on."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import pytest

import softsign.onnx  # noqa: F401  (registers its operators)
from softsign.onnx.schema import disagreements, inherited_schema, since_versions
from softsign.operator import (
    OperatorSchema,
    SchemaError,
    TensorType,
    operators,
    register_cpu_operator,
    schema,
    unregister_operator,
)

INHERITED = [name for name in operators() if schema(name).inherit_onnx_schema is not None]


@pytest.mark.parametrize("name", INHERITED)
def test_schemas_agree_with_onnx(name: str) -> None:
    assert disagreements(name) == []


def test_softsign_and_its_arithmetic_inherit() -> None:
    assert {"Softsign", "Add", "Sub", "Mul", "Div", "Neg", "Sum", "MatMul", "Gemm"} <= set(INHERITED)
    assert not any(name.startswith("Softsign") and name != "Softsign" for name in INHERITED)


@pytest.mark.parametrize(
    ("opset", "dtypes"),
    [
        (1, ("float16", "float32", "float64")),
        (21, ("float16", "float32", "float64")),
        (22, ("bfloat16", "float16", "float32", "float64")),
        (None, ("bfloat16", "float16", "float32", "float64")),
    ],
)
def test_softsign_inherits(opset: int | None, dtypes: tuple[str, ...]) -> None:
    made = inherited_schema("Softsign", opset)
    official = onnx.defs.get_schema("Softsign", *(() if opset is None else (opset,)))
    assert made.dtypes == dtypes
    assert (made.num_inputs, made.num_outputs) == (1, 1)
    assert [name for name, _ in made.inputs] == ["input"]
    assert [name for name, _ in made.outputs] == ["output"]
    assert made.inputs[0][1] == official.inputs[0].description.strip()
    assert made.doc == official.doc.strip()
    assert made.allow_inplace == {(0, 0)}  # ONNX does not speak of it
    assert made.infer is not None
    for dtype in dtypes:
        for shape in ((), (2, 0), ("batch", 3), None):
            known = TensorType(np.dtype(dtype), shape)
            assert made.infer(known) == [known]


def test_opsets_that_changed_softsign() -> None:
    assert since_versions("Softsign") == [1, 22]
    assert since_versions("Add") == [1, 6, 7, 13, 14]
    with pytest.raises(KeyError, match="ONNX has no operator 'Softsing'"):
        since_versions("Softsing")


@pytest.mark.parametrize(
    ("name", "opset", "error", "words"),
    [
        ("Softsing", None, SchemaError, "operator 'Softsing' is not registered; did you mean 'Softsign'?"),
        ("SoftsignGradient", None, ValueError, "'SoftsignGradient' inherits no schema from ONNX"),
        ("Softsign", 0, ValueError, "ONNX has no operator 'Softsign' at opset 0"),
    ],
)
def test_schemas_that_do_not_exist(name: str, opset: int | None, error: type, words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        inherited_schema(name, opset)


def like_softsign(**changes: Any) -> OperatorSchema:
    facts: dict[str, Any] = {
        "num_inputs": 1,
        "identical_type_and_shape": True,
        "inherit_onnx_schema": "Softsign",
        "inputs": [("input", "")],
        "dtypes": ("float16", "bfloat16", "float32", "float64"),
    }
    return OperatorSchema(**facts | changes)


@pytest.fixture
def register() -> Iterator[Callable[[str, OperatorSchema], None]]:
    names = []

    def registered(name: str, made: OperatorSchema) -> None:
        register_cpu_operator(name, np.positive, made)
        names.append(name)

    yield registered
    for name in names:
        unregister_operator(name)


Register = Callable[[str, OperatorSchema], None]


def test_an_operator_that_agrees(register: Register) -> None:
    register("Mine", like_softsign())
    assert disagreements("Mine") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_inputs": 2}, "number of inputs: 2 here, 1 in ONNX"),
        ({"num_outputs": (1, 2)}, "number of outputs: (1, 2) here, 1 in ONNX"),
        ({"inputs": [("X", "")]}, "names of the inputs: ['X'] here, ['input'] in ONNX"),
        ({"dtypes": ("float16", "float32", "float64")}, "dtypes: ['float16', 'float32', 'float64'] here"),
        ({"dtypes": ("bfloat16", "float16", "float32", "float64", "int8")}, "'int8'] here"),
        (
            {"inherit_onnx_schema": "ReduceSum"},
            "shape=(3,)) becomes [TensorType(dtype=dtype('float32'), shape=(1,))]",
        ),
    ],
)
def test_disagreement_is_found(register: Register, changes: dict[str, Any], words: str) -> None:
    register("Mine", like_softsign(**changes))
    found = disagreements("Mine")
    assert all(sentence.startswith("Mine at opset ") for sentence in found)
    assert any(words in sentence for sentence in found), found
