"""The model card: what a person needs who is about to use the weights, and what a program reads of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .card_metadata import card_head
from .card_sections import changed_settings, cost_line, licence_lines, limit_lines, setting_rows
from .card_subject import CardSubject
from .markdown import Markdown, block, cell, code, link, plain, prose
from .references import is_kdzoo_network
from .run_evidence import Evaluation, Evidence

ACCURACIES = ("top1", "top5")


def render_card(subject: CardSubject) -> str:
    """README.md: a YAML head and a page of Markdown.

    Every value in the page is literal: the template's environment makes Markdown of nothing that did not say so itself.
    """
    head = yaml.safe_dump(card_head(subject), sort_keys=False, allow_unicode=False, width=10**6)
    page = _environment().get_template("card.md.j2").render(**_content(subject))
    return f"---\n{head}---\n\n{page.rstrip()}\n"


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # it is Markdown: ``finalize`` makes every value literal that is not Markdown already
        finalize=plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _content(subject: CardSubject) -> dict[str, Any]:
    evidence, config = subject.evidence, subject.config
    data = [
        {
            "name": Markdown(f"{title}: {cell(one.name or '?')}"),
            "images": one.num_images or "?",
            "classes": one.num_classes or "?",
        }
        for title, one in (("training", evidence.config.train_data), ("held out", evidence.config.val_data))
        if one is not None
    ]
    rows = setting_rows(evidence)
    return {
        "title": subject.repository.partition("/")[2],
        "what": _what(subject),
        "timm_code": block(_timm_lines(subject), "python"),
        "kdzoo_code": block(_kdzoo_lines(subject), "bash"),
        "look": _look(config),
        "numbers": [_number_row(one) for one in evidence.evaluations],
        "spread": any(one.metric in ACCURACIES for one in evidence.evaluations),
        "number_notes": _number_notes(evidence),
        "recipe": _recipe_line(subject),
        "changed": changed_settings(rows, evidence),
        "settings": rows,
        "deviations": [prose(line) for line in subject.recipe.deviations],
        "notes": [prose(line) for line in evidence.config.notes],
        "sources": _source_rows(evidence),
        "licence_notes": licence_lines(subject.licence, evidence.sources),
        "data": data,
        "data_notes": _data_notes(evidence.result.unreadable),
        "limits": limit_lines(subject.licence, evidence),
        "cost": cost_line(evidence),
        "digest": code(subject.digest),
        "origin": _origin(subject),
        "citation": _citation(subject),
    }


def _data_notes(unreadable: int) -> list[str]:
    text = f"{unreadable} training images could not be decoded; others took their places."
    return [text] if unreadable else []


def _what(subject: CardSubject) -> Markdown:
    config, evidence = subject.config, subject.evidence
    size = config["pretrained_cfg"]["input_size"][-1]
    first = evidence.evaluations[0]
    teachers = sum(source.role == "teacher" for source in evidence.sources)
    learned = f"distilled from {teachers} teacher{'s' if teachers > 1 else ''}" if teachers else "trained on labels"
    recipe = evidence.config.recipe or evidence.provenance.get("recipe")
    with_recipe = f" with the recipe {code(str(recipe))}" if recipe else ""
    return Markdown(
        f"{code(str(config['architecture']))} ({_millions(subject.parameters)} parameters, {size} px, "
        f"{config['num_classes']} classes), {learned}{with_recipe} on {code(first.dataset)} by kdzoo. "
        f"**{first.value:.2f} % top-1** on {code(first.dataset)} {plain(first.split)} ({first.num_images} images)."
    )


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


def _reference(subject: CardSubject) -> str:
    return f"hf-hub:{subject.repository}" + (f"@{subject.revision}" if subject.revision else "")


def _timm_lines(subject: CardSubject) -> list[str]:
    own = is_kdzoo_network(str(subject.config["architecture"]))
    return [
        *(["import kdzoo.zoo  # registers the architecture"] if own else []),
        "import timm",
        "from PIL import Image",
        "",
        f'model = timm.create_model("{_reference(subject)}", pretrained=True).eval()',
        "look = timm.data.resolve_model_data_config(model)",
        "transform = timm.data.create_transform(**look, is_training=False)",
        'images = transform(Image.open("image.jpg").convert("RGB")).unsqueeze(0)',
        "probabilities = model(images).softmax(dim=-1)",
        "features = model.forward_features(images)  # as a backbone",
    ]


def _kdzoo_lines(subject: CardSubject) -> list[str]:
    reference = _reference(subject)
    return [
        f"kdzoo predict {reference} photos/  # each image's likeliest classes; --out answers.csv writes a file",
        f"kdzoo eval {reference} --on DATA",
        f"kdzoo export {reference} --format onnx --out model.onnx",
    ]


def _look(config: Mapping[str, Any]) -> list[tuple[str, Markdown]]:
    record = config["pretrained_cfg"]
    size = record["input_size"][-1]
    return [
        ("size", code(f"{size} x {size}")),
        ("resize", code(f"short side to {math.floor(size / record['crop_pct'])}, {record['interpolation']}")),
        ("crop", code(f"centre, crop_pct {record['crop_pct']}")),
        ("mean", code(record["mean"])),
        ("std", code(record["std"])),
    ]


def _number_row(one: Evaluation) -> dict[str, Any]:
    value = Markdown(f"{one.value:.2f}")
    if one.metric in ACCURACIES and one.num_images:
        share = one.value / 100
        value = Markdown(f"{value}\u00a0±\u00a0{100 * math.sqrt(max(0.0, share * (1 - share)) / one.num_images):.2f}")
    return {
        "task": plain(one.task),
        "dataset": cell(one.dataset),
        "split": plain(one.split),
        "metric": cell(one.metric),
        "value": value,
        "images": str(one.num_images),
        "protocol": plain(one.protocol),
    }


def _number_notes(evidence: Evidence) -> list[str]:
    best = evidence.provenance.get("weights") == "best" or evidence.config.setting("training.export") == "best"
    if best:
        return [
            "The weights are those of the epoch that did best on these very images, so the number is a little high."
        ]
    return []


def _recipe_line(subject: CardSubject) -> Markdown:
    evidence, facts = subject.evidence, subject.recipe
    name = evidence.config.recipe or evidence.provenance.get("recipe") or "not recorded"
    parts = [f"Recipe {code(str(name))}"]
    variants = evidence.config.variants
    if variants:
        parts[0] += " with " + ", ".join(code(one) for one in variants)
    if facts.summary:
        parts[0] += f": {prose(facts.summary)}"
    elif facts.title or evidence.provenance.get("paper"):
        parts[0] += "."
    if facts.title:
        parts.append(f"Paper: {plain(facts.authors)}, {plain(facts.title)}, {facts.year}, {link(facts.url)}.")
    elif isinstance(evidence.provenance.get("paper"), str):
        parts.append(f"Paper: {link(str(evidence.provenance['paper']))}.")
    epochs = evidence.result.epochs
    parts.append(f"{epochs or '?'} epoch{'' if epochs == 1 else 's'}, {evidence.result.steps or '?'} steps.")
    return Markdown(" ".join(parts))


def _source_rows(evidence: Evidence) -> list[dict[str, Any]]:
    measured = iter(evidence.config.teacher_reports)
    rows = []
    for source in evidence.sources:
        report = next(measured, None) if source.role == "teacher" else None
        top1 = "" if report is None or math.isnan(report.value) else f"{report.value:.2f} ({report.num_images} images)"
        rows.append(
            {
                "role": cell(source.role) if source.role != "teacher" else "teacher",
                "name": cell(source.name),
                "licence": cell(source.licence) if source.licence else "not stated",
                "top1": top1,
            }
        )
    return rows


def _origin(subject: CardSubject) -> list[tuple[str, Markdown]]:
    evidence = subject.evidence
    versions = evidence.sessions[-1].versions if evidence.sessions else {}
    rows = [("seed", code(evidence.provenance.get("seed", evidence.config.setting("run.seed"))))]
    rows += [(str(plain(name)), code(version)) for name, version in versions.items()]
    return rows


def _citation(subject: CardSubject) -> Markdown:
    facts = subject.recipe
    lines: list[str] = []
    if facts.title:
        first = (
            "".join(c for c in facts.authors.split(",")[0].split()[-1].lower() if c.isalnum()) if facts.authors else ""
        )
        lines += _entry(
            "article",
            f"{first or 'paper'}{facts.year or ''}",
            {
                "title": facts.title,
                "author": facts.authors.replace(", ", " and "),
                "year": facts.year,
                "url": facts.url,
            },
        )
    name = subject.repository.rpartition("/")[2]
    lines += _entry(
        "misc",
        "".join(c if c.isalnum() else "-" for c in name),
        {"title": name, "note": "weights made with kdzoo", "url": f"https://huggingface.co/{subject.repository}"},
    )
    return block(lines, "bibtex")


def _entry(kind: str, key: str, fields: Mapping[str, Any]) -> list[str]:
    clean = {name: str(value).translate(str.maketrans("", "", "{}\\")) for name, value in fields.items() if value}
    return [f"@{kind}{{{key},", *(f"  {name} = {{{value}}}," for name, value in clean.items()), "}"]
