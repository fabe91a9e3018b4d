"""softsign.study.report: what is chosen and told, and the page in a real browser without a network."""

import json
import os
import re
import shutil
import statistics
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from softsign.study.folder import Study
from softsign.study.report import draw_samples, write
from softsign.study.runs import Trial, grid
from softsign.study.tables import choices, compact, error_table, learning_rate_table, start_table
from softsign.study.training import train

GRID: dict[str, Any] = {
    "data": "digits",
    "activations": ("softsign", "relu"),
    "initializations": ("standard", "critical:0.5"),
    "depths": (1, 5),
    "width": 20,
    "batch_size": 10,
    "updates": 20,
    "learning_rates": (0.01, 0.1),
    "momentum": 0.0,
    "seeds": (0, 1),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    study = Study(
        folder, grid(**GRID) + grid(**GRID | {"updates": 0, "depths": (7,), "learning_rates": (0.1,)})
    )
    for trial in study.trials:
        study.results[trial.name] = train(trial, folder)
    return study


def unfinished(study: Study, keep: Any) -> Study:
    """The same study with some of the results."""
    part = Study.__new__(Study)
    part.folder, part.trials, part.environment = study.folder, study.trials, study.environment
    part.results = {trial.name: study.results[trial.name] for trial in study.trials if keep(trial)}
    return part


def test_the_rate_with_the_lowest_validation_error_is_chosen(study: Study) -> None:
    chosen = choices(study)
    assert [(c.trial.activation, c.trial.initialization, c.trial.depth) for c in chosen] == [
        (activation, rule, depth)
        for activation in ("softsign", "relu")
        for rule in ("standard", "critical:0.5")
        for depth in (1, 5)
    ]
    for choice in chosen:
        assert choice.trial.seed == 0
        means = {}
        for rate in GRID["learning_rates"]:
            trials = [
                Trial(**(vars(choice.trial) | {"learning_rate": rate, "seed": seed}))
                for seed in GRID["seeds"]
            ]
            means[rate] = statistics.fmean(study.results[trial.name]["valid_error"] or 0 for trial in trials)
            if rate == choice.trial.learning_rate:
                assert choice.results == [study.results[trial.name] for trial in trials]
        assert means[choice.trial.learning_rate] == min(means.values())


def test_divergence_counts_as_an_error_of_one(study: Study) -> None:
    best = choices(study)[0]
    seeds = [Trial(**(vars(best.trial) | {"seed": seed})).name for seed in GRID["seeds"]]
    part = unfinished(study, lambda trial: True)
    for name in seeds:
        part.results[name] = {
            **study.results[name],
            "diverged": True,
            "test_error": None,
            "valid_error": None,
            "histograms": [],
        }
    assert choices(part)[0].trial.learning_rate != best.trial.learning_rate
    part.results = {name: (part if name == seeds[0] else study).results[name] for name in seeds}
    assert error_table(part).rows[0][5] == "diverged (1 of 2)"


def test_table(study: Study) -> None:
    content = error_table(study)
    assert content.header[5:7] == ["test error, %", "paper, %"]
    row = content.rows[1]
    choice = choices(study)[1]
    errors = [100 * (result["test_error"] or 0) for result in choice.results]
    jacobians = [
        statistics.fmean(values) for values in zip(*(r["jacobian"] for r in choice.results), strict=True)
    ]
    assert row == [
        "softsign",
        "standard",
        "5x20",
        "20",
        f"{choice.trial.learning_rate:g}",
        f"{statistics.fmean(errors):.2f} ± {statistics.stdev(errors):.1f}",
        "",  # the paper has no digits
        " → ".join(f"{value:.2f}" for value in jacobians),
    ]
    assert content.rows[0][-1] == "- → -"  # one hidden layer has no Jacobian to the next


def test_errors_of_the_paper_stand_beside_its_networks_alone(study: Study) -> None:
    part = unfinished(study, lambda trial: True)
    part.results = {name: result | {"dataset": "MNIST"} for name, result in study.results.items()}
    found = {(row[0], row[1], row[2]): row[6] for row in error_table(part).rows}
    assert found.pop(("softsign", "standard", "5x20")) == "1.64"
    assert set(found.values()) == {""}


def test_learning_rate_table(study: Study) -> None:
    content = learning_rate_table(study)
    assert content.header[3:] == ["0.01", "0.1"]
    best = {tuple(row[:3]): row[4:6] for row in error_table(study).rows}
    assert [tuple(row[:3]) for row in content.rows] == list(best)
    for row in content.rows:
        rate, error = best[tuple(row[:3])]
        assert row[content.header.index(rate)] == error
    part = unfinished(study, lambda trial: trial.learning_rate == 0.1)
    assert all(row[3] == "" != row[4] for row in learning_rate_table(part).rows)


def test_start_table(study: Study) -> None:
    content = start_table(study)
    rows = {tuple(row[:3]): row[3:] for row in content.rows}
    assert len(rows) == len(content.rows) == 12
    gradients = [
        study.results[trial.name]["history"]["gradient"][0]
        for trial in study.trials
        if (trial.activation, trial.initialization, trial.depth) == ("softsign", "standard", 7)
    ]
    ratios = [gradient[0] / gradient[-1] for gradient in gradients]
    assert rows["softsign", "standard", "7x20"] == [
        "2",
        *(f"{v:.2g}" for v in (sum(ratios) / 2, min(ratios), max(ratios))),
    ]


def test_compact_results_give_the_same_tables_and_figures(study: Study, tmp_path: Path) -> None:
    part = unfinished(study, lambda trial: True)
    compact(part)
    for content in (error_table, learning_rate_table, start_table):
        assert content(part) == content(study)
    names = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # of the figures, at random
    pages = []
    for one in (study, part):
        write(one, tmp_path / "report.html")
        pages.append(names.sub("", (tmp_path / "report.html").read_text()))
    assert pages[0] == pages[1]
    assert len(json.dumps(part.results)) < 0.5 * len(json.dumps(study.results))


def test_an_unfinished_study_shows_what_there_is(study: Study, tmp_path: Path) -> None:
    part = unfinished(study, lambda trial: trial.activation == "relu" and trial.seed == 0)
    assert {choice.trial.activation for choice in choices(part)} == {"relu"}
    assert all(len(choice.results) == 1 for choice in choices(part))
    assert "±" not in error_table(part).rows[0][5]
    write(part, tmp_path / "report.html")
    assert "<p>10 of 40 trainings on digits are finished." in (tmp_path / "report.html").read_text()
    nothing = unfinished(study, lambda trial: False)
    assert error_table(nothing).rows == start_table(nothing).rows == []
    write(nothing, tmp_path / "report.html")
    assert "<p>0 of 40 trainings" in (tmp_path / "report.html").read_text()


def test_the_page_names_nothing_outside_of_itself(study: Study, tmp_path: Path) -> None:
    write(study, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    own = page.replace(get_plotlyjs(), "")
    assert not re.search(r"""(src|href)\s*=\s*["']?(?!data:)""", own)
    assert "http" not in own
    assert "Note:" not in own
    for trial in study.trials:
        assert trial.activation in own


def test_notes_and_names_are_escaped(study: Study, tmp_path: Path) -> None:
    part = unfinished(study, lambda trial: True)
    first = study.trials[0].name
    part.results = part.results | {first: part.results[first] | {"notes": ["<b>x</b> was damaged"]}}
    write(part, tmp_path / "report.html")
    assert "<p>Note: &lt;b&gt;x&lt;/b&gt; was damaged.</p>" in (tmp_path / "report.html").read_text()


def test_a_report_that_cannot_be_written_leaves_the_old_one(study: Study, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        write(study, tmp_path / "nowhere" / "report.html")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def browser() -> Any:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        # .ci/trial installs one.
        (pytest.fail if os.environ.get("SOFTSIGN_NO_SKIP") else pytest.skip)(
            "the pages are tested in chromium, which is not installed"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


def test_the_page_in_a_browser(study: Study, tmp_path: Path, browser: Any) -> None:
    """Every figure is drawn, without an error and without a network."""
    part = unfinished(study, lambda trial: trial.updates)
    write(part, tmp_path / "report.html")
    context = browser.new_context(offline=True)
    page = context.new_page()
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: requests.append(request.url))
    page.goto((tmp_path / "report.html").as_uri(), wait_until="load")
    assert [heading.inner_text() for heading in page.query_selector_all("h2")] == [
        "Test error",
        "Test error at each learning rate",
        "Test error over updates",
        "Activations over updates",
        "Activations at the end",
        "Gradients",
        "Before training",
        "Initializations",
    ]
    figures = page.query_selector_all(".js-plotly-plot")
    curves = [len(figure.query_selector_all(".scatterlayer .trace")) for figure in figures]
    # Four networks of five layers; a panel has two lines for each layer, one, and one for
    # each of the records 0, 2 (for both 5 % and 25 %, rounded), 5 and 10.
    assert curves == [4, 4 * 5 * 2, 4 * 5, 4 * 4]
    for figure in figures:
        assert figure.bounding_box()["height"] > 200
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert errors == []
    assert requests == [page.url]
    context.close()


def test_samples_of_shapeset_are_in_the_page(tmp_path: Path) -> None:
    trials = grid(**GRID | {"data": "shapeset", "updates": 0, "activations": ["softsign"], "seeds": [0]})
    write(Study(tmp_path / "a", trials), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert '<img alt="samples of each class" src="data:image/png;base64,iVBOR' in page


def test_samples(tmp_path: Path) -> None:
    draw_samples(tmp_path / "samples.png", seed=1)
    draw_samples(tmp_path / "again.png", seed=1)
    sheet = matplotlib.image.imread(tmp_path / "samples.png")
    assert min(sheet.shape[:2]) > 600
    assert len(np.unique(sheet)) > 200
    np.testing.assert_array_equal(sheet, matplotlib.image.imread(tmp_path / "again.png"))
