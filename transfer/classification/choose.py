"""Choosing hyper-parameters on held-out training images; the test images are never looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ...base.errors import DivergedError, RunError
from ...base.settings import ResolvedSettings
from ...base.writing import write_json
from ...data.subset import SubsetSource, held_out_indices
from ..sides import RANDOM
from .finetune import TransferRun, fine_tuned_scores
from .linear import Labels
from .plan import TransferPlan
from .protocols import SEARCH_HELD_OUT

_SEED = 0


def choose_settings(run: TransferRun, score: Callable[[np.ndarray, Labels], float]) -> TransferPlan:
    """Try every combination of the plan's search once, with one seed, and keep the best one for all backbones.

    As in SSLD §4.6 the baseline is what is tried on; without one, the backbone. A combination that diverges is out of
    the choice, and the others are tried.

    Args:
        run: Of a plan with a search; its ``out`` gets a run a combination under ``search/``, and ``search.json``.
        score: The metric that decides, of scores (N, C), higher is better; of equal ones the first is taken.

    Raises:
        RunError: Every combination diverged, or as `fine_tune`.
        CheckpointError, Interrupted: As `fine_tune`.
    """
    plan = run.plan
    assert plan.search is not None
    assert plan.train is not None
    source = plan.train
    groups = Labels(source.labels, source.targets, len(source.class_names)).groups()
    stay, held = held_out_indices(groups, SEARCH_HELD_OUT, _SEED)
    kept, tried_on = SubsetSource(source, stay), SubsetSource(source, held)
    known = Labels(tried_on.labels, tried_on.targets, len(source.class_names))
    reference = plan.backbone if plan.baseline in (None, RANDOM) else str(plan.baseline)
    combinations = list(plan.search.combinations(plan.protocol))
    searching = replace(run, out=run.out / "search")
    tried: list[dict[str, Any]] = []
    for number, protocol in enumerate(combinations, start=1):
        values = {name: getattr(protocol, name) for name in plan.search.to_dict()}
        run.say(f"search {number} of {len(combinations)} on {reference}: {values}")
        try:
            found = score(fine_tuned_scores(searching, reference, _SEED, (kept, tried_on), protocol), known)
            if math.isnan(found):
                raise DivergedError(f"the score of {reference} on the held-out images is not a number")
        except DivergedError as error:
            run.say(f"search {number} of {len(combinations)} diverged: {error.message}")
            tried.append({**values, "score": None, "diverged": error.message})
        else:
            tried.append({**values, "score": found})
    finished = [index for index, entry in enumerate(tried) if entry["score"] is not None]
    best = max(finished, key=lambda index: (tried[index]["score"], -index), default=None)
    place = run.out / "search.json"
    if run.processes.is_main:
        write_json(place, {"tried_on": reference, "held_out": len(held), "tried": tried, "chosen": best})
    if best is None:
        raise RunError(
            f"all {len(tried)} combinations of the search diverged on {reference}; {place} says where",
            hint="search lower learning rates or weight decays",
        )
    values = {name: tried[best][name] for name in plan.search.to_dict()}
    run.say(f"search: chosen {values}, {tried[best]['score']:.2f} % of the held-out images")
    chosen = combinations[best]
    source_text = f"searched on {reference}, {len(held):,} held-out training images"
    sources = {**plan.resolved.sources, **dict.fromkeys(plan.search.to_dict(), source_text)}
    return replace(plan, resolved=ResolvedSettings(chosen, sources))
