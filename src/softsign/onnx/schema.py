"""ONNX's official schemas, inherited by operators that name one in `inherit_onnx_schema`."""

import numpy as np
import onnx

from softsign.onnx.dialect import OPSET
from softsign.onnx.operators import counts, onnx_inference
from softsign.operator import OperatorSchema, TensorType, schema

__all__ = ["disagreements", "inherited_schema", "since_versions"]


def since_versions(name: str) -> list[int]:
    """Return the opsets that introduced or changed an operator of ONNX.

    Parameters
    ----------
    name : str
        An operator of the domain ``ai.onnx``.

    Returns
    -------
    list of int
        In ascending order.

    Raises
    ------
    KeyError
        When ONNX has no such operator.

    Examples
    --------
    >>> from softsign.onnx.schema import since_versions
    >>> since_versions("Softsign")
    [1, 22]
    """
    found = [
        s.since_version for s in onnx.defs.get_all_schemas_with_history() if s.name == name and not s.domain
    ]
    if not found:
        raise KeyError(f"ONNX has no operator {name!r}")
    return sorted(found)


def inherited_schema(name: str, opset: int | None = None) -> OperatorSchema:
    """Return the schema that an operator inherits from ONNX, as of an opset.

    Parameters
    ----------
    name : str
        A registered operator with `inherit_onnx_schema`.
    opset : int, optional
        Default: the newest that the installed onnx knows.

    Returns
    -------
    OperatorSchema
        The registered one with the numbers of inputs and outputs, their names and descriptions, the dtypes,
        the inference of dtypes and shapes and the documentation that ONNX has. What ONNX does not speak of,
        such as in-place use, is kept.

    Raises
    ------
    SchemaError
        When there is no such operator.
    ValueError
        When it inherits no schema, or ONNX has it in no opset up to `opset`.

    Examples
    --------
    >>> from softsign.onnx.schema import inherited_schema
    >>> inherited_schema("Softsign", 1).dtypes
    ('float16', 'float32', 'float64')
    >>> inherited_schema("Softsign", 22).dtypes
    ('bfloat16', 'float16', 'float32', 'float64')
    """
    own = schema(name)
    if own.inherit_onnx_schema is None:
        raise ValueError(f"operator {name!r} inherits no schema from ONNX")
    official = _official(own.inherit_onnx_schema, opset)
    return OperatorSchema(
        num_inputs=counts(official.min_input, official.max_input),
        num_outputs=counts(official.min_output, official.max_output),
        allow_inplace=own.allow_inplace,
        identical_type_and_shape=own.identical_type_and_shape,
        inherit_onnx_schema=own.inherit_onnx_schema,
        inputs=[(value.name, value.description.strip()) for value in official.inputs],
        outputs=[(value.name, value.description.strip()) for value in official.outputs],
        attributes=own.attributes,
        dtypes=_dtypes(official),
        infer=onnx_inference(official),
        doc=official.doc.strip(),
    )


def disagreements(name: str) -> list[str]:
    """Return what the schema of an operator and the one inherited from ONNX disagree on, from opset 18 on.

    Of Softsign these are all versions: that of opset 1 is still in force at 18.

    Parameters
    ----------
    name : str
        A registered operator with `inherit_onnx_schema`.

    Returns
    -------
    list of str
        One sentence each; empty where they agree.

    Examples
    --------
    >>> from softsign.onnx.schema import disagreements
    >>> disagreements("Softsign")
    []
    """
    own = schema(name)
    found = []
    every = since_versions(str(own.inherit_onnx_schema))
    versions = [max(v for v in every if v <= OPSET), *(v for v in every if v > OPSET)]
    for opset in versions:
        theirs = inherited_schema(name, opset)
        pairs = [
            ("number of inputs", own.num_inputs, theirs.num_inputs),
            ("number of outputs", own.num_outputs, theirs.num_outputs),
            ("names of the inputs", [i for i, _ in own.inputs], [i for i, _ in theirs.inputs]),
        ]
        dtypes, official = set(own.dtypes or theirs.dtypes or ()), set(theirs.dtypes or ())
        if opset == versions[-1] or not official <= dtypes:  # an older opset may have fewer dtypes
            pairs.append(("dtypes", sorted(dtypes), sorted(official)))
        found += [
            f"{name} at opset {opset}: {what}: {mine} here, {other} in ONNX"
            for what, mine, other in pairs
            if mine != other
        ]
        if own.identical_type_and_shape:
            found += [f"{name} at opset {opset}: {case}" for case in _changed(theirs)]
    return found


def _changed(theirs: OperatorSchema) -> list[str]:
    """Return the types that ONNX infers another type from."""
    assert theirs.infer is not None
    cases = [
        TensorType(np.dtype(dtype), shape)
        for dtype in ("float32", "float64")
        for shape in ((), (3,), ("batch", 4), (2, 0, 5), None)
    ]
    return [f"{known} becomes {made}" for known in cases if (made := theirs.infer(known)) != [known]]


def _official(name: str, opset: int | None) -> onnx.defs.OpSchema:
    try:
        return onnx.defs.get_schema(name) if opset is None else onnx.defs.get_schema(name, opset)
    except onnx.defs.SchemaError as error:
        raise ValueError(f"ONNX has no operator {name!r} at opset {opset}") from error


def _dtypes(official: onnx.defs.OpSchema) -> tuple[str, ...] | None:
    """Return the names of the dtypes that the inputs may have, or None if not all may have the same ones."""
    variables = {value.type_str for value in official.inputs}
    allowed = [c.allowed_type_strs for c in official.type_constraints if {c.type_param_str} == variables]
    if not allowed:
        return None
    elements = [name.removeprefix("tensor(").removesuffix(")") for name in allowed[0]]
    return tuple(sorted(_NUMPY.get(element, element) for element in elements))


#: ONNX's names of the dtypes that NumPy calls otherwise.
_NUMPY = {"float": "float32", "double": "float64"}
