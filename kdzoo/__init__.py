"""kdzoo: a better vision backbone of the same size, by distillation.

Everything public is here, and imported when it is first used::

    import kdzoo

    kdzoo.train("cifar_resnet20", data="digits", epochs=5, out="runs/teacher")
    kdzoo.distill("meal_v2", student="cifar_resnet8", teachers=["runs/teacher"], data="digits", epochs=5, out="runs/a")
    kdzoo.evaluate("runs/a", on="digits")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base.lazy import lazy_names

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

__getattr__ = lazy_names(
    __name__,
    {
        ".api": "distill label train",
        ".base.errors": "CheckpointError DataError Interrupted KdzooError ModelError RunError TeacherError UsageError",
        ".base.run_documents": "TrainResult",
        ".data": "check_source open_source",
        ".demo": "run_demo",
        ".engine.labelling": "LabelResult",
        ".evaluation.analysis": "write_analysis",
        ".evaluation.comparison": "compare_results",
        ".evaluation.evaluate": "EvaluationResult evaluate",
        ".evaluation.prediction.files": "Prediction",
        ".evaluation.prediction.predict": "predict predict_to_file",
        ".evaluation.report": "write_report",
        ".planning.plan": "Plan",
        ".planning.resolution": "resolve",
        ".recipes.recipe": "Recipe",
        ".recipes.registry": "get_recipe list_recipes",
        ".sharing": "package publish",
        ".transfer.classification.api": "measure_transfer",
        ".transfer.classification.measure": "TransferReport",
        ".zoo": "LoadedModel create_model list_models load_model pull save_model",
        ".zoo.exporting": "export_model",
    },
)

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


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
