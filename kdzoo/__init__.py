"""kdzoo: a better vision backbone of the same size, by distillation.

Everything public is here, and imported when it is first used::

    import kdzoo

    kdzoo.train("cifar_resnet20", data="digits", epochs=5, out="runs/teacher")
    kdzoo.distill("meal_v2", student="cifar_resnet8", teachers=["runs/teacher"], data="digits", epochs=5, out="runs/a")
    kdzoo.evaluate("runs/a", on="digits")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import distill, label, train
    from .base.errors import (
        CheckpointError,
        DataError,
        Interrupted,
        KdzooError,
        ModelError,
        RunError,
        TeacherError,
        UsageError,
    )
    from .base.run_documents import TrainResult
    from .data import check_source, open_source
    from .demo import run_demo
    from .engine.labelling import LabelResult
    from .evaluation.analysis import write_analysis
    from .evaluation.comparison import compare_results
    from .evaluation.evaluate import EvaluationResult, evaluate
    from .evaluation.prediction.files import Prediction
    from .evaluation.prediction.predict import predict, predict_to_file
    from .evaluation.report import write_report
    from .planning.plan import Plan
    from .planning.resolution import resolve
    from .recipes.recipe import Recipe
    from .recipes.registry import get_recipe, list_recipes
    from .sharing import package, publish
    from .transfer.classification.api import measure_transfer
    from .transfer.classification.measure import TransferReport
    from .zoo import LoadedModel, create_model, list_models, load_model, pull, save_model
    from .zoo.exporting import export_model

__version__ = "0.1.0"

_HOMES = {
    "CheckpointError": "kdzoo.base.errors",
    "DataError": "kdzoo.base.errors",
    "EvaluationResult": "kdzoo.evaluation.evaluate",
    "Interrupted": "kdzoo.base.errors",
    "KdzooError": "kdzoo.base.errors",
    "LabelResult": "kdzoo.engine.labelling",
    "LoadedModel": "kdzoo.zoo",
    "ModelError": "kdzoo.base.errors",
    "Plan": "kdzoo.planning.plan",
    "Prediction": "kdzoo.evaluation.prediction.files",
    "Recipe": "kdzoo.recipes.recipe",
    "RunError": "kdzoo.base.errors",
    "TeacherError": "kdzoo.base.errors",
    "TrainResult": "kdzoo.base.run_documents",
    "TransferReport": "kdzoo.transfer.classification.measure",
    "UsageError": "kdzoo.base.errors",
    "check_source": "kdzoo.data",
    "compare_results": "kdzoo.evaluation.comparison",
    "create_model": "kdzoo.zoo",
    "distill": "kdzoo.api",
    "evaluate": "kdzoo.evaluation.evaluate",
    "export_model": "kdzoo.zoo.exporting",
    "get_recipe": "kdzoo.recipes.registry",
    "label": "kdzoo.api",
    "list_models": "kdzoo.zoo",
    "list_recipes": "kdzoo.recipes.registry",
    "load_model": "kdzoo.zoo",
    "measure_transfer": "kdzoo.transfer.classification.api",
    "open_source": "kdzoo.data",
    "package": "kdzoo.sharing",
    "predict": "kdzoo.evaluation.prediction.predict",
    "predict_to_file": "kdzoo.evaluation.prediction.predict",
    "publish": "kdzoo.sharing",
    "pull": "kdzoo.zoo",
    "resolve": "kdzoo.planning.resolution",
    "run_demo": "kdzoo.demo",
    "save_model": "kdzoo.zoo",
    "train": "kdzoo.api",
    "write_analysis": "kdzoo.evaluation.analysis",
    "write_report": "kdzoo.evaluation.report",
}
"""Where each public name lives."""

__all__ = [
    "CheckpointError",
    "DataError",
    "EvaluationResult",
    "Interrupted",
    "KdzooError",
    "LabelResult",
    "LoadedModel",
    "ModelError",
    "Plan",
    "Prediction",
    "Recipe",
    "RunError",
    "TeacherError",
    "TrainResult",
    "TransferReport",
    "UsageError",
    "__version__",
    "check_source",
    "compare_results",
    "create_model",
    "distill",
    "evaluate",
    "export_model",
    "get_recipe",
    "label",
    "list_models",
    "list_recipes",
    "load_model",
    "measure_transfer",
    "open_source",
    "package",
    "predict",
    "predict_to_file",
    "publish",
    "pull",
    "resolve",
    "run_demo",
    "save_model",
    "train",
    "write_analysis",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
