"""The model card: what it says, what it does not give away, and that nothing in it is more than text."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
import yaml
from finished_run import replace_weights
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from safetensors.torch import load_file

from kdzoo.base.errors import KdzooError, ModelError, RunError, UsageError
from kdzoo.base.redact import redact
from kdzoo.zoo.card_subject import RecipeFacts
from kdzoo.zoo.publishing import prepare, write_package

FACTS = RecipeFacts(
    title="A Paper", authors="Ada Lovelace, Alan Turing", year=2020, url="https://arxiv.org/abs/2009.08453",
    summary="Learns from teachers.", deviations=("One ``thing`` is other.",),
)  # fmt: skip


def card_of(run, **arguments):
    text = prepare(run, "org/my-model", **{"recipe": FACTS, **arguments}).card.decode()
    head, page = re.fullmatch(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL).groups()
    return yaml.safe_load(head), page


class Rendered(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.texts: list[str] = []
        self.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(page))
        self.text = "".join(self.texts)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_what_the_card_says(make_run, tmp_path):
    head, page = card_of(make_run(tmp_path / "run"))
    assert head["license"] == "apache-2.0"
    assert (head["library_name"], head["pipeline_tag"]) == ("timm", "image-classification")
    assert "knowledge-distillation" in head["tags"]
    result = head["model-index"][0]["results"][0]
    assert result["dataset"]["name"] == "digits"
    assert [(one["type"], one["value"]) for one in result["metrics"]] == [("accuracy", 87.5), ("top-5-accuracy", 100.0)]
    text = Rendered(page).text
    for said in (
        'timm.create_model("hf-hub:org/my-model", pretrained=True)',
        "import kdzoo.zoo",
        "kdzoo predict hf-hub:org/my-model photos/",
        "87.50\u00a0±\u00a01.74",
        "32 px, crop_pct 1, bilinear, centre crop, each image once",
        "360 images",
        "A Paper",
        "training.epochs",
        "--epochs",
        "One thing is other.",
        "resnet50.a1_in1k",
        "91.00 (360 images)",
        "These weights are published under apache-2.0. It is that of what they were made from.",
        "30 s on a CPU with 2 cores",
        "Energy was not measured",
        "author = {Ada Lovelace and Alan Turing}",
    ):
        assert said in text, said
    changed = page.split("not the recipe's own")[1].split("Where the recipe itself")[0]
    assert "training.epochs" in changed
    assert "optimizer.lr" not in changed


def test_the_hubs_own_client_reads_its_numbers(make_run, tmp_path):
    card = ModelCard(prepare(make_run(tmp_path / "run"), "org/my-model").card.decode())
    assert card.data.eval_results is not None
    first = card.data.eval_results[0]
    assert (first.metric_type, first.metric_value, first.dataset_name) == ("accuracy", 87.5, "digits")
    assert first.dataset_args["num_images"] == 360


def test_further_evaluations_are_in_the_card_and_in_its_head(make_run, tmp_path):
    run = make_run(tmp_path / "run")
    (run / "results").mkdir()
    documents = [
        {"task": "classification", "dataset": "imagenet", "split": "val", "metric": "top1", "value": 70.1,
         "num_images": 50000, "protocol": "224 px"},
        {"task": "segmentation", "dataset": "cityscapes", "split": "val", "metric": "mIoU", "value": 61.25,
         "num_images": 500, "protocol": "FCN head, 80 k steps"},
    ]  # fmt: skip
    (run / "results" / "transfer.json").write_text(json.dumps(documents))
    head, page = card_of(run)
    results = head["model-index"][0]["results"]
    assert [one["task"]["type"] for one in results] == ["image-classification"] * 2 + ["image-segmentation"]
    assert results[2]["metrics"] == [{"type": "mIoU", "value": 61.25, "name": "mIoU"}]
    assert head["datasets"] == ["imagenet-1k"]
    assert "FCN head, 80 k steps" in Rendered(page).text
    measured = {**documents[0], "kdzoo_result": 1, "metrics": {"top1": 71.5, "ece": 2.0}}
    (run / "results" / "eval.json").write_text(json.dumps(measured))
    head, _ = card_of(run)
    metrics = {one["type"]: one["value"] for found in head["model-index"][0]["results"] for one in found["metrics"]}
    assert metrics["ece"] == 2.0
    for broken in ({"task": "classification"}, {**documents[0], "value": "high"}, [1]):
        (run / "results" / "other.json").write_text(json.dumps(broken))
        with pytest.raises(ModelError, match=r"other\.json is not an evaluation"):
            prepare(run, "org/a")


def test_nothing_of_the_machine_and_no_secret_is_sent(make_run, tmp_path):
    secrets = {"notes": ["token hf_abcdefghijklmnopqrstuvwxyz was used"], "warnings": ["https://me:pw123456@host/x"]}
    run = make_run(tmp_path / "run", config=secrets, provenance={"comment": "api_key=sk-abcdefghijklmnopqrst"})
    package = prepare(run, "org/a")
    for content in (package.card, package.config):
        for given_away in (b"/home/me", b"hf_abcdef", b"pw123456", b"sk-abcdef", bytes(tmp_path)):
            assert given_away not in content
    config = json.loads(package.config)
    assert config["kdzoo"]["settings"]["teachers.models"] == ["teacher"]
    assert config["pretrained_cfg"]["license"] == "apache-2.0"
    assert config["kdzoo"]["results"][0]["value"] == 87.5


HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "line\n\n# heading\n---\nlicense: mit\n---\n",
    "`` ` ``` ```` x",
    "a | b \\| c || `|`",
    "[x](javascript:alert(1)) ![y](http://z/pixel.png) <http://a.b> https://evil.example www.evil.example m@x.y",
    "{{ 7*7 }} {% raw %} ${HOME} %(x)s !!python/object/apply:os.system ['id'] &amp; &lt;",
    "a ‮ b \x1b[31m \u2028 \x00",
    "*** ___ ~~~ === :tada: $x^2$ @user #1 </details></td></table>",
    "} \\end{document} @misc{evil,",
    "''' \"\"\" : - ? , [ ] { } & * # | > ! % @ `",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_out_literal(make_run, tmp_path, text):
    def elements(text):
        entry = {"task": text, "dataset": text, "split": text, "metric": text, "value": 1.5, "num_images": 7,
                 "protocol": text}  # fmt: skip
        run = make_run(
            tmp_path / f"run{len(list(tmp_path.iterdir()))}",
            config={
                "recipe": text, "variants": [text], "notes": [text], "val_data": {"name": text, "split": text},
                "settings": {text: {"value": [text], "source": text}},
                "train_data": {"name": text, "num_images": text, "num_classes": text},
            },
            environment={"sessions": [{"versions": {text: text}, "devices": [text], "world_size": 1}]},
            result={"unreadable": 3, "epochs": text, "steps": text},
            provenance={"teachers": [{"reference": text, "license": text}], "seed": text, "recipe": text},
        )  # fmt: skip
        (run / "results").mkdir()
        (run / "results" / "a.json").write_text(json.dumps(entry))
        facts = RecipeFacts(title=text, authors=text, year=2020, url=text, summary=text, deviations=(text,))
        link = "https://example.org/x"
        return card_of(run, licence="other", licence_name="acme-nc", licence_link=link, recipe=facts)

    head, page = elements(text)
    plain_head, plain_page = elements("word")
    shown, expected = Rendered(page), Rendered(plain_page)
    allowed = {"code", "p"}  # what a value is wrapped in

    def skeleton(rendered):
        return [tag for tag in rendered.elements if tag not in allowed]

    assert skeleton(shown) == skeleton(expected), "the text made an element of the page"
    assert set(head) == set(plain_head)
    assert head["license"] == "other"
    name = head["model-index"][0]["results"][1]["metrics"][0]["name"]
    literal = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in redact(text))
    assert name == literal
    sample = re.sub(r"\s+", "", name)[:30]
    assert sample in re.sub(r"\s+", "", shown.text)


def test_what_would_mislead_is_refused(make_run, tmp_path):
    def said(folder, kind=KdzooError, **arguments):
        with pytest.raises(kind) as caught:
            prepare(folder, **{"repository": "org/a", **arguments})
        assert caught.value.hint
        return caught.value.message

    assert "there is no run" in said(tmp_path / "none", RunError)
    (tmp_path / "unfinished" / "checkpoints").mkdir(parents=True)
    assert "is not finished" in said(tmp_path / "unfinished", RunError)
    assert "was not evaluated" in said(make_run(tmp_path / "a", result={"top1": None}), ModelError)
    assert "was not evaluated" in said(make_run(tmp_path / "b", result={"num_images": 0}), ModelError)
    assert "was not evaluated" in said(make_run(tmp_path / "c", result={"top1": float("nan")}), ModelError)
    assert "is not the model that result.json speaks of" in said(make_run(tmp_path / "d", result={"top1": 99.0}))
    run = make_run(tmp_path / "e")
    weights = load_file(run / "model" / "model.safetensors")
    weights["fc.weight"][1, 2] = torch.inf
    replace_weights(run / "model", weights)
    assert "are not finite: 1 of" in said(run, ModelError)
    del weights["fc.weight"]
    replace_weights(run / "model", weights)
    assert "does not fit" in said(run, ModelError)
    run = make_run(tmp_path / "f", provenance={"teachers": [{"reference": "t", "license": "cc-by-nc-4.0"}]})
    assert "non-commercial use alone" in said(run, ModelError, licence="apache-2.0")
    assert prepare(run, "org/a").licence.identifier == "cc-by-nc-4.0"
    for name in ("a", "org/a/b", "../a", "org/..", "org/a b", "org/-a", "", "org/a--b"):
        assert "not a repository's name" in said(make_run(tmp_path / "g"), UsageError, repository=name)


def test_licences_come_along_through_runs_in_between(make_run, tmp_path):
    """A teacher that was itself distilled, and a student that started from somebody's weights."""
    nc = {"teachers": [{"reference": "resnext101_32x8d.fb_swsl_ig1b_ft_in1k", "license": "cc-by-nc-4.0"}]}
    teacher = make_run(tmp_path / "teacher", provenance=nc)
    run = make_run(tmp_path / "run", provenance={"teachers": [{"reference": str(teacher), "license": "mit"}]})
    with pytest.raises(ModelError, match="teacher of teacher resnext101_32x8d"):
        prepare(run, "org/a", licence="mit")
    start = {"student_start": "resnet50.fb_swsl_ig1b_ft_in1k", "teachers": []}
    with pytest.raises(ModelError, match=r"initial weights resnet50\.fb_swsl_ig1b_ft_in1k is under cc-by-nc-4\.0"):
        prepare(make_run(tmp_path / "started", provenance=start), "org/a", licence="mit")
    head, page = card_of(tmp_path / "started")
    assert head["base_model"] == "timm/resnet50.fb_swsl_ig1b_ft_in1k"
    assert "Its licence allows non-commercial use alone." in page


def test_an_unknown_licence_is_said_and_one_must_be_named(make_run, tmp_path):
    run = make_run(tmp_path / "run", provenance={"teachers": [{"reference": "t", "license": None}]})
    with pytest.raises(UsageError, match="states no licence"):
        prepare(run, "org/a")
    assert "No licence is known of the teacher `t`" in card_of(run, licence="mit")[1]


def test_a_dry_run_writes_exactly_the_package_and_is_repeatable(make_run, tmp_path):
    package = prepare(make_run(tmp_path / "run"), "org/a")
    out = write_package(package, tmp_path / "out")
    assert {path.name: path.stat().st_size for path in out.iterdir()} == {
        row["path"]: row["bytes"] for row in package.files()
    }
    assert (out / "README.md").read_bytes() == package.card
    again = prepare(make_run(tmp_path / "again"), "org/a")
    assert (again.card, again.config, again.digest) == (package.card, package.config, package.digest)
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(ModelError, match=r"thesis\.tex"):
        write_package(package, out)
    assert replace(package, digest="0" * 64).files() != package.files()
