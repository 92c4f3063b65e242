import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kdzoo.base.run_record import read_run
from kdzoo.evaluation.draws import DrawGain, PooledGain
from kdzoo.evaluation.overview import ComparedModel, pool, write_overview
from kdzoo.evaluation.run_sections import differences

LABELS = ComparedModel("on labels", "baseline", 78_042, 95.0, 0.2, 360, 6.0, None)


def gain(*pairs: tuple[float, float]) -> PooledGain:
    return PooledGain(tuple(DrawGain(f"draw {i}", one, two, 700) for i, (one, two) in enumerate(pairs)))


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (((80.0, 84.0), (81.0, 84.0), (82.0, 84.0)), "+3.00 points (84.00 % against 81.00 %), ahead in 3 of 3 draws"),
        (((80.0, 84.0), (81.0, 84.0), (82.0, 84.0)), "+0.52 to +5.48: distillation helped"),
        (
            ((84.0, 80.0), (84.0, 81.0), (84.0, 82.0)),
            "ahead in 0 of 3 draws, 95 % interval over the draws -5.48 to -0.52",
        ),
        (((84.0, 80.0), (84.0, 81.0), (84.0, 82.0)), "distillation did harm"),
        (((80.0, 84.0), (81.0, 80.0)), "ahead in 1 of 2 draws, 95 % interval"),
        (((80.0, 84.0), (81.0, 80.0)), "these draws alone do not decide"),
        (((80.0, 84.0),), "One draw decides nothing."),
    ],
)
def test_the_verdict_says_who_is_ahead_and_whether_that_means_anything(
    pairs: tuple[tuple[float, float], ...], expected: str
) -> None:
    assert expected in gain(*pairs).verdict()


def test_rows_of_several_draws_are_their_means() -> None:
    other = replace(LABELS, top1=97.0, loss=0.4, seconds=8.0, run="elsewhere")
    (row,) = pool([[LABELS], [other]])
    assert (row.top1, row.num_images, row.seconds, row.run) == (96.0, 720, 7.0, None)
    assert row.loss == pytest.approx(0.3)


def test_differing_settings_are_named_with_both_values(make_run: Callable[..., Path]) -> None:
    first = make_run("a", settings={"optimizer.lr": {"value": 0.1, "source": "x"}, "run.seed": {"value": 0}})
    second = make_run("b", settings={"optimizer.lr": {"value": 0.2, "source": "x"}, "run.seed": {"value": 0}, "new": 1})
    found = differences(read_run(first), read_run(second))
    assert found == [("optimizer.lr", "0.1", "0.2"), ("new", "not there", "1")]


def test_the_page_shows_every_model_and_links_to_its_report(make_run: Callable[..., Path], tmp_path: Path) -> None:
    one, two = make_run("student one"), make_run("two")
    (one / "report.html").write_text("there")
    models = [
        ComparedModel("<b>teachers</b>", "ensemble", 350_324, 98.33, 0.05, 360, None, None),
        replace(LABELS, run=str(one)),
        ComparedModel("distilled", "student", 78_042, 96.11, 0.12, 360, 12.0, str(two)),
    ]
    page = write_overview(
        tmp_path / "report.html", title="A & B", lede=["x < y"], models=models, compared=("on labels", "distilled")
    ).read_text()
    assert re.findall(r'href="([^"]*)"', page) == ["student%20one/report.html"]
    assert "<b>teachers" not in page
    for shown in ("&lt;b&gt;teachers", "A &amp; B", "x &lt; y", "350\u2009324", "98.33 %", "0.1200", "12.0 s"):
        assert shown in page, shown
    assert "the same views of them" not in page.split("Nowhere")[0]
    assert "<script" not in page


def test_a_page_of_several_draws_leads_with_the_gain(make_run: Callable[..., Path], tmp_path: Path) -> None:
    models = [replace(LABELS, run=str(make_run("a"))), replace(LABELS, name="distilled", run=str(make_run("b")))]
    page = write_overview(
        tmp_path / "p.html",
        title="t",
        lede=[],
        models=models,
        compared=("on labels", "distilled"),
        gain=gain((80.0, 84.0), (81.0, 84.0), (82.0, 84.0)),
    ).read_text()
    assert page.index("+3.00") < page.index("+0.52 to +5.48") < page.index("3 of 3") < page.index("<h2")
    assert page.index("Draw by draw") < page.index("draw 2")


def test_equal_views_are_claimed_only_where_the_settings_say_so(make_run: Callable[..., Path], tmp_path: Path) -> None:
    def page(**changes: object) -> str:
        folder = tmp_path / f"case{len(list(tmp_path.iterdir()))}"
        runs = []
        for name, extra in (("a", {}), ("b", changes)):
            settings = {"objective.t": {"value": name, "source": "x"}, "run.seed": {"value": 0, "source": "x"}, **extra}
            runs.append(make_run(f"{folder.name}/{name}", settings=settings))
        models = [replace(LABELS, name=run.name, run=str(run)) for run in runs]
        path = write_overview(folder / "p.html", title="t", lede=[], models=models, compared=("a", "b"))
        return path.read_text()

    assert "the same views of them" in page()
    assert "the same views of them" not in page(**{"run.seed": {"value": 1, "source": "x"}})
