"""What is registered, and what the registry and the schemas refuse."""

import re
from typing import Any

import numpy as np
import pytest

from softsign.operator import (
    GetSoftsignGradient,
    GradientMaker,
    Net,
    NoGradient,
    OperatorDef,
    OperatorSchema,
    SchemaError,
    create_operator,
    gradient_of,
    operators,
    register_cpu_gradient_operator,
    register_cpu_operator,
    register_gradient,
    schema,
    unregister_operator,
)
from softsign.operator.definitions import Names
from tests.helpers import run_python
from tests.operator_helpers import (
    CASES,
    MISUSES,
    assert_says,
    by_operator,
    identity,
    net_of,
    run,
    types,
)

# What is registered


def test_operators_are_these() -> None:
    done = run_python("from softsign.operator import operators; print(*operators())")
    assert done.stdout.split() == sorted(CASES)


def test_operators_without_those_of_gradients() -> None:
    hidden = set(operators()) - set(operators(gradients=False))
    assert {"SoftsignGradient", "SoftsignGradientFromOutput", "SumTo", "OnesLike"} <= hidden
    assert not hidden & {"Softsign", "SoftsignInverse", "Add", "Sum"}


@by_operator
def test_schema_is_documented(name: str) -> None:
    found = schema(name)
    assert found.doc
    assert all(label and text for label, text in (*found.inputs, *found.outputs))
    assert len(found.outputs) == found.num_outputs == 1
    if name != "Sum":  # any number of inputs
        assert len(found.inputs) == found.num_inputs == len(CASES[name].domains)


WRONG_DERIVATIVE = re.compile(r"sgn\(x\)\s*/\s*\(?\(1\s*\+\s*\|x\|\)\s*(\^|\*\*)?\s*(2|²)", re.IGNORECASE)


def test_schema_has_not_the_wrong_derivative_of_caffe2() -> None:
    assert WRONG_DERIVATIVE.search("Calculates the softsign gradient (sgn(x)/(1+|x|)^2) of the given input")
    for name in CASES:
        found = schema(name)
        for text in (found.doc, *(text for _, text in (*found.inputs, *found.outputs))):
            assert not WRONG_DERIVATIVE.search(text), (name, text)


# Registering


@pytest.mark.usefixtures("registry")
def test_register_cpu_operator_takes_a_name_once() -> None:
    one = OperatorSchema(num_inputs=1)
    register_cpu_operator("Identical", identity, one)
    for again in (register_cpu_operator, register_cpu_gradient_operator):
        with pytest.raises(
            ValueError, match=r"'Identical' is registered already; unregister_operator\('Identical'\)"
        ):
            again("Identical", np.negative, OperatorSchema(num_inputs=1))
    assert schema("Identical") is one
    assert run(create_operator("Identical", "X", "Y"), "Y", X=[1.0]) == 1
    unregister_operator("Identical")
    with pytest.raises(SchemaError, match="'Identical' is not registered"):
        schema("Identical")
    register_cpu_operator("Identical", np.negative, one)
    assert run(create_operator("Identical", "X", "Y"), "Y", X=[1.0]) == -1


@pytest.mark.usefixtures("registry")
def test_register_cpu_operator_and_gradient_refuse_what_cannot_work() -> None:
    one: Any = OperatorSchema(num_inputs=1)
    wrong: Any = "wrong"
    with pytest.raises(TypeError, match="kernel of 'Wrong' must be callable, not str"):
        register_cpu_operator("Wrong", wrong, one)
    with pytest.raises(TypeError, match="schema of 'Wrong' must be an OperatorSchema, not str"):
        register_cpu_operator("Wrong", identity, wrong)
    register_cpu_operator("Right", identity, one)
    makers: list[Any] = [wrong, GetSoftsignGradient(OperatorDef("Softsign", "X", "Y")), Net]
    for maker in makers:
        with pytest.raises(TypeError, match="gradient maker of 'Right' must be a subclass of GradientMaker"):
            register_gradient("Right", maker)
    assert "Wrong" not in operators()


def test_register_gradient_takes_an_operator_once() -> None:
    with pytest.raises(ValueError, match="'Softsign' has a gradient maker already, GetSoftsignGradient"):
        register_gradient("Softsign", NoGradient)
    net = net_of(("Softsign", "X", "Y"))
    net.add_gradients(["Y"])
    assert types(net)[-1] == "SoftsignGradient"


def test_register_gradient_refuses_an_unknown_operator() -> None:
    with pytest.raises(SchemaError, match="'SoftSign' is not registered; did you mean 'Softsign'"):
        register_gradient("SoftSign", GetSoftsignGradient)
    with pytest.raises(SchemaError, match="'SoftSign' is not registered"):
        unregister_operator("SoftSign")


@pytest.mark.usefixtures("registry")
def test_gradient_of_registers_a_function_for_several_operators() -> None:
    for name in ("Once", "Twice"):
        register_cpu_operator(name, identity, OperatorSchema(num_inputs=1))

    @gradient_of("Once", "Twice")
    def rule(maker: GradientMaker) -> None:
        kernel = "Neg" if maker.op.type == "Once" else "Softsign"
        maker.emit(kernel, maker.output_gradient(0), output=maker.input_gradient(0))

    net = net_of(("Once", "X", "Y"), ("Twice", "Y", "Z"))
    gradients = net.add_gradients({"Z": "dZ"})
    assert run(net, gradients["X"], X=[0.0], dZ=[3.0]) == -0.75
    with pytest.raises(ValueError, match="'Once' has a gradient maker already, rule"):
        gradient_of("Once")(rule)
    with pytest.raises(SchemaError, match="'Thrice' is not registered"):
        gradient_of("Thrice")(rule)


# Uses of operators


@pytest.mark.parametrize("rule", MISUSES)
def test_create_operator_and_net_add_refuse_what_the_schema_does(rule: str) -> None:
    op, parts = MISUSES[rule]
    with pytest.raises(SchemaError) as created:
        create_operator(op.type, op.inputs, op.outputs, op.name, **op.attributes)
    assert_says(parts, created.value)
    net = net_of(("Softsign", "A", "Y"))
    with pytest.raises(SchemaError) as added:
        net.add(op)
    assert str(added.value) == str(created.value)
    assert types(net) == ["Softsign"]


@pytest.mark.usefixtures("registry")
def test_create_operator_refuses_an_output_written_twice() -> None:
    register_cpu_operator(
        "Split", lambda x, a=None, b=None: (x, x), OperatorSchema(num_inputs=1, num_outputs=2)
    )
    with pytest.raises(SchemaError) as caught:
        create_operator("Split", "X", ["A", "A"])
    assert_says(["Split(X) -> (A, A)", "blob 'A' twice"], caught.value)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [([1], "Y"), ("X", [None]), (None, "Y"), ("X", 3)],
    ids=["1", "[None]", "None", "3"],
)
def test_create_operator_refuses_names_that_are_no_strings(inputs: Any, outputs: Any) -> None:
    with pytest.raises(TypeError, match=r"inputs|outputs"):
        create_operator("Softsign", inputs, outputs)


# Names


def test_names_are_fresh_once() -> None:
    names = Names(["X", "X_1", "Y"])
    assert [names.fresh(name) for name in ("X", "X", "Z", "Z", "Y_1", "Y")] == [
        "X_2",
        "X_3",
        "Z",
        "Z_1",
        "Y_1",
        "Y_2",
    ]
    names.take("W")
    assert names.fresh("W") == "W_1"
    assert "W_1" in names
    assert "W_2" not in names
