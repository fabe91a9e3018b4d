"""ONNX's node tests on the backend: the expected values, or a refusal that names the node.

Those of the poolings are left out, which take onnx 14 s to make; SOFTSIGN_ALL_NODES=1 (`make onnx-nodes`)
runs all. test_onnx_reference.py holds poolings against ONNX Runtime.
"""

import importlib
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import onnx.backend.test.case.base as case_base
import onnx.backend.test.case.node as node_cases
import pytest
from onnx import numpy_helper
from onnx.backend.test.runner import Runner

from softsign.onnx import Backend, ModelError

PARTS = 4
ALL = bool(os.environ.get("SOFTSIGN_ALL_NODES"))
SLOW = {"averagepool", "lppool", "maxpool"}
#: The cases that are refused, and why.
REFUSED = {
    "test_bernoulli.*": r"node '.*' \((Bernoulli|RandomUniformLike)\) draws random numbers",
    "test_scan_sum": r"node 'y, z' \(Scan\) of opset 8 has no counterpart in newer opsets",
}


def modules() -> list[str]:
    """Return the modules that make cases."""
    (folder,) = node_cases.__path__
    paths = sorted(path for path in Path(folder).rglob("[a-z]*.py") if ALL or path.stem not in SLOW)
    return [".".join(path.relative_to(folder).with_suffix("").parts) for path in paths]


def cases(names: Sequence[str]) -> Iterator[Any]:
    """Yield the cases that modules make when they are imported."""
    for name in names:
        before = len(node_cases._NodeTestCases)
        # No snippets for ONNX's pages, for each of which the source is parsed.
        no_snippet = patch.object(case_base, "process_snippet", lambda op, name, export: (name, ""))
        with no_snippet, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy, about infinities
            importlib.import_module(f"{node_cases.__name__}.{name}")
        yield from node_cases._NodeTestCases[before:]


def outcome(case: Any) -> str:
    """Run a case: it passes, or the message of its refusal is returned."""
    try:
        prepared = Backend.prepare(case.model)
        for inputs, expected in case.data_sets:
            results = prepared.run([array(value) for value in inputs])
            assert len(results) == len(expected)
            for result, wanted in zip(results, expected, strict=True):
                compare(result, array(wanted), case)
    except ModelError as error:
        return str(error)
    return ""


def array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def compare(result: Any, wanted: Any, case: Any) -> None:
    if isinstance(wanted, list):
        assert isinstance(result, list)
        for one, other in zip(result, wanted, strict=True):
            compare(one, other, case)
    else:
        Runner.assert_similar_outputs([wanted], [np.asarray(result)], case.rtol, case.atol)


@pytest.mark.parametrize("part", range(PARTS))
def test_node_cases(part: int) -> None:
    failed, count = [], 0
    for case in cases(modules()[part::PARTS]):
        count += 1
        try:
            refusal = outcome(case)
        except Exception as error:  # noqa: BLE001  (of any kind: the others run all the same)
            failed.append(f"{case.name}: {type(error).__name__}: {error}")
            continue
        reasons = [reason for names, reason in REFUSED.items() if re.fullmatch(names, case.name)]
        if refusal and not any(re.match(reason, refusal) for reason in reasons):
            failed.append(f"{case.name}: {refusal}")
    assert not failed, "\n".join(failed)
    assert count > 250
