"""The examples run and print what their pages say; that of operators: test_operator_family.py."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


Run = Callable[..., list[list[str]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs an example as a command does, and gives the words of its lines."""

    def run(name: str, *arguments: str) -> list[list[str]]:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return [line.split() for line in capsys.readouterr().out.splitlines()]

    return run


def test_readout(lines: Run) -> None:
    """Distances are lost with depth, sooner for a large q; the curvature at q = 1 is that of the theory."""
    rules = ("--initializations", "critical:0.01,critical:1", "--width", "64", "--seeds", "1")
    head, small, large = lines("readout.py", *rules, "--depth", "20")
    assert head == ["k", "depth", "cosine", "error,", "%"]
    assert [row[0] for row in (small, large)] == ["critical:0.01", "critical:1"]
    assert float(large[1]) == 53  # 20 * 2.643
    assert float(small[2]) < float(large[2])
    assert float(small[3]) < float(large[3])


def test_servo(lines: Run) -> None:
    """Smooth laws of equal bound: which chatters least under noise depends on the disturbance."""
    _, *rows = lines("servo.py", "--seconds", "4")
    found = {(law, disturbance): [float(cell) for cell in cells] for law, _, disturbance, *cells in rows}
    assert len(found) == 12
    for (law, _), (largest, _, chatter, noisy) in found.items():
        assert (chatter > 10) == (law == "switch")
        assert noisy > chatter
        if law != "switch":
            assert largest <= 0.05 * 1.05  # the actuator's lag is not in the bound
    for disturbance, more in (("none", (1.5, 3)), ("sine", (1.05, 1.5)), ("square", (1 / 3, 0.5))):
        ratio = found["softsign", disturbance][3] / found["saturation", disturbance][3]
        assert more[0] < ratio < more[1]


def test_sharpness(lines: Run) -> None:
    shape = ("--depth", "2", "--width", "10")
    _, head, row = lines("sharpness.py", *shape, "--initializations", "critical:0.5")
    assert head[:7] == ["0", "10", "20", "40", "80", "150", "300"]
    assert row[0] == "critical:0.5"
    sharp = [float(cell) for cell in row[1::2][:7]]
    assert (
        float(row[-1]) == float(f"{3.8 / max(sharp):.4f}") or abs(3.8 / max(sharp) / float(row[-1]) - 1) < 0.2
    )


def test_sharpness_is_the_largest_eigenvalue() -> None:
    import torch
    from torch.nn.functional import cross_entropy

    sharpness = runpy.run_path(str(EXAMPLES / "sharpness.py"))["sharpness"]
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3)
    x, labels = torch.randn(30, 4), torch.randint(3, (30,))

    def loss(flat: torch.Tensor) -> torch.Tensor:
        weight, bias = flat[:12].view(3, 4), flat[12:]
        return cross_entropy(x @ weight.T + bias, labels)

    flat = torch.nn.utils.parameters_to_vector(layer.parameters()).detach()
    hessian = torch.autograd.functional.hessian(loss, flat)
    largest = torch.linalg.eigvalsh(hessian)[-1].item()
    assert abs(sharpness(layer, x, labels) / largest - 1) < 0.03
