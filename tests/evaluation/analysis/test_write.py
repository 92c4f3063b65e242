"""The page: one file, nothing from elsewhere, names as they are, parts where their data is there; and the figures."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from finished_run import make_run as make_real_run
from PIL import Image

from kdzoo.base.errors import DataError, UsageError
from kdzoo.evaluation.analysis import write_analysis
from kdzoo.evaluation.analysis.files import write_figures
from kdzoo.evaluation.charts import Points, Scatter
from kdzoo.evaluation.results import MeasuredModel
from kdzoo.zoo import load_model, save_model

HOSTILE = "<script>alert(1)</script>&amp;'\"{{ 7*7 }}"
CLASSES = ("null", "eins", "zwei")


@pytest.fixture
def photos(tmp_path):
    """A folder of three classes, the ones of the tests' real runs."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in CLASSES:
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(6):
                pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def store(tmp_path, write_answers):
    for name, skill in (("small", 0.5), ("large", 0.8)):
        write_answers(tmp_path / "store", name, skill)
    return tmp_path / "store"


def test_results_alone_make_a_page_that_says_what_is_missing(store, tmp_path):
    written = write_analysis([store], out=tmp_path / "r.html")
    assert [title.split(" on ")[0].split(":")[0] for title in written.sections] == [
        "Accuracy against cost",
        "Classes of photos",
        "Calibration",
    ]
    page = written.page.read_text()
    missing = page[page.index("Not shown") :]
    for what in ("training curves", "transfer tables"):
        assert what in missing
    assert "kdzoo transfer TASK" in missing
    assert written.figures == ()


def test_runs_and_results_make_all_parts_and_charts_of_one_name_have_files_of_their_own(
    store, tmp_path, make_run, write_answers
):
    for name, skill in (("small", 0.5), ("large", 0.8)):
        write_answers(store, name, skill, data_fingerprint="another copy")
    runs = [make_run("first", epochs=1), make_run("second", epochs=2)]
    for run in runs:
        lines = [line for line in (run / "metrics.jsonl").read_text().splitlines() if '"eval"' in line]
        (run / "metrics.jsonl").write_text("\n".join(lines))
    written = write_analysis([*runs, store], out=tmp_path / "r.html", figures=tmp_path / "figures")
    assert written.sections[0] == "Training"
    page = written.page.read_text()
    assert page.count("<svg viewBox") >= len(written.figures) // 2
    names = {path.name for path in written.figures}
    assert {"curve-held-out-top1.png", "curve-held-out-top1.svg", "reliability-photos-val.svg"} <= names
    assert {"trade-off-photos-macs.png", "trade-off-photos-macs-2.png", "classes-photos-2.svg"} <= names
    assert sorted(written.figures) == sorted((tmp_path / "figures").iterdir())
    for path in written.figures:
        if path.suffix == ".svg":
            assert ET.parse(path).getroot().tag.endswith("svg")
        else:
            with Image.open(path) as image:
                assert min(image.size) > 400


def test_the_page_asks_nothing_of_the_network(store, tmp_path, make_run):
    page = write_analysis([make_run("a"), store], out=tmp_path / "r.html").page.read_text()
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href|xlink:href|action|poster|data)\s*=\s*[\"'](?!data:)", page)
    assert not re.findall(r"url\(|@import|<script|<link|<iframe|<object|https?://", page)


def test_hostile_names_come_out_literal(tmp_path, write_answers, make_run):
    run = make_run("<b>run")
    for skill in (0.5, 0.8):
        reference = f"{HOSTILE} {skill}"
        model = MeasuredModel(reference=reference, parameters=int(100 * skill))
        write_answers(tmp_path / "s", reference, skill, model=model, dataset="<img src=x>$\\frac$")
    page = write_analysis([run, tmp_path / "s"], out=tmp_path / "r.html").page.read_text()
    written = write_analysis([tmp_path / "s"], out=tmp_path / "r.html", figures=tmp_path / "_f")
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "<b>run" not in page
    assert "&lt;b&gt;run" in page
    assert "{{ 7*7 }}" in page
    for path in written.figures:
        assert path.parent == tmp_path / "_f"
        if path.suffix == ".svg":
            text = "".join(ET.parse(path).getroot().itertext())
            assert "reliability" not in path.name or "$\\frac$" in text


def test_the_same_inputs_give_the_same_figures(tmp_path, write_answers):
    store = write_answers(tmp_path / "s", "a", 0.5)
    first, second = (
        write_analysis([store], out=tmp_path / f"{name}.html", figures=tmp_path / name).figures for name in "ab"
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_number_behind_a_figure_s_name_takes_no_other_s(tmp_path):
    names = ("a", "a", "a-2", "a", "a-2")
    charts = [Scatter(name=name, title=name, groups=(Points(name="", points=((0.0, 1.0),)),)) for name in names]
    written = write_figures(tmp_path, charts)
    assert [path.stem for path in written[::2]] == ["a", "a-3", "a-2", "a-4", "a-2-2"]


def test_features_and_soft_labels_of_real_models(tmp_path, photos):
    for name in ("teacher", "student"):
        (tmp_path / name).mkdir()
    teacher = make_real_run(tmp_path / "teacher")
    student = make_real_run(tmp_path / "student", config={"teachers": [str(teacher)]})
    for run in (teacher, student):  # in the order in which folders are read
        loaded = load_model(str(run))
        loaded.class_names = tuple(sorted(CLASSES))
        save_model(loaded, run / "model", provenance={})
    written = write_analysis([student], out=tmp_path / "r.html", data=str(photos))
    assert written.sections == (
        "Weights",
        "Features of 3 classes",
        "Soft labels of student and its teacher",
    )
    page = written.page.read_text()
    assert page.count("data:image/png;base64") == len(re.findall('<li class="picture', page)) >= 5
    assert "Mean answer to 6 images of eins" in page
    # the same weights: the teacher's mean answer is the student's
    rows = re.findall(r'data-label="teachers">([\d.]+) %</td><td class="number" data-label="student">([\d.]+) %', page)
    assert len(rows) == 9
    assert all(one == other for one, other in rows)


def test_features_are_the_same_each_time_and_classes_can_be_chosen(tmp_path, photos):
    (tmp_path / "a").mkdir()
    run = make_real_run(tmp_path / "a")
    texts = []
    for _ in range(2):
        path = write_analysis([run], out=tmp_path / "r.html", data=str(photos), classes=["zwei", "null"]).page
        texts.append(re.search(r"Features of a .*?</figure>", path.read_text(), re.S).group())
    assert texts[0] == texts[1]
    assert "eins" not in texts[0]
    with pytest.raises(UsageError, match="no class 'drei'"):
        write_analysis([run], out=tmp_path / "r.html", data=str(photos), classes=["drei"])


def test_a_teacher_that_is_gone_is_said(tmp_path, photos):
    (tmp_path / "a").mkdir()
    run = make_real_run(tmp_path / "a", config={"teachers": [str(tmp_path / "gone")]})
    written = write_analysis([run], out=tmp_path / "r.html", data=str(photos))
    assert any("soft labels of a's teachers" in what for what, _ in written.missing)


def test_nothing_to_show_is_an_error_and_leaves_no_page(tmp_path, write_answers):
    write_answers(tmp_path / "s", "alone", 0.5, details={})
    with pytest.raises(DataError, match="nothing to report"):
        write_analysis([tmp_path / "s"], out=tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_a_damaged_run_is_shown_as_far_as_it_goes(tmp_path, make_run):
    run = make_run("a")
    (run / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text()[:-40] + "\n{")
    page = write_analysis([run], out=tmp_path / "r.html").page.read_text()
    assert "damaged line" in page
    assert "Top-1, held-out images" in page


def test_the_account_is_json(store, tmp_path):
    document = json.loads(json.dumps(write_analysis([store], out=tmp_path / "r.html").to_dict()))
    assert document["page"] == str(tmp_path / "r.html")
    assert document["missing"][0].keys() == {"what", "how"}
