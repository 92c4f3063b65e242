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
    from .base.settings import Given
    from .curation import curate
    from .data import CheckReport, check_source, open_source
    from .datasets import check_data, generate_data, pack_data, unpack_data
    from .demo import run_demo
    from .doctor import examine
    from .engine.curation import CurationResult
    from .engine.labelling import LabelResult
    from .engine.objective import StepView
    from .evaluation.analysis import write_analysis
    from .evaluation.comparison import ComparedResult, ModelComparison, compare_results
    from .evaluation.evaluate import EvaluationResult, evaluate
    from .evaluation.prediction.files import Prediction
    from .evaluation.report import write_report
    from .labels import PlannedLabels, label, plan_labels
    from .measurements import (
        PlannedDense,
        PlannedTransfer,
        measure_detection,
        measure_segmentation,
        measure_transfer,
        plan_dense,
        plan_transfer,
    )
    from .papers.record import Record
    from .planning.cost import Cost, ModelCost
    from .planning.label_cost import LabelCost
    from .planning.plan import Plan
    from .planning.resolution import resolve
    from .predictions import predict, predict_to_file
    from .recipes.description import describe_recipe
    from .recipes.own import Loss, own_recipe
    from .recipes.recipe import Recipe
    from .recipes.recipe_file import export_recipe, load_recipe
    from .recipes.registry import get_recipe, list_recipes
    from .reproduction import PlannedTable, list_tables, plan_table, reproduce
    from .runs import PlannedRun, distill, plan_run, train
    from .sharing import export_model, package, publish
    from .transfer.classification.measure import TransferReport
    from .transfer.dense import Comparison, DenseCost
    from .transfer.dense.papers import PaperRow
    from .zoo import (
        LoadedModel,
        Pulled,
        create_model,
        describe_model,
        list_architectures,
        list_models,
        load_model,
        pull,
        save_model,
    )
    from .zoo.exporting import Exported
    from .zoo.own_teacher import OwnTeacher
    from .zoo.publishing import write_package
    from .zoo.pulling import convert_file, convert_weights

__version__ = "0.1.0"

__getattr__ = lazy_names(
    __name__,
    {
        ".base.errors": "CheckpointError DataError Interrupted KdzooError ModelError RunError TeacherError UsageError",
        ".base.run_documents": "TrainResult",
        ".base.settings": "Given",
        ".curation": "curate",
        ".data": "CheckReport check_source open_source",
        ".datasets": "check_data generate_data pack_data unpack_data",
        ".demo": "run_demo",
        ".doctor": "examine",
        ".engine.curation": "CurationResult",
        ".engine.labelling": "LabelResult",
        ".engine.objective": "StepView",
        ".evaluation.analysis": "write_analysis",
        ".evaluation.comparison": "ComparedResult ModelComparison compare_results",
        ".evaluation.evaluate": "EvaluationResult evaluate",
        ".evaluation.prediction.files": "Prediction",
        ".evaluation.report": "write_report",
        ".labels": "PlannedLabels label plan_labels",
        ".measurements": "PlannedDense PlannedTransfer measure_detection measure_segmentation measure_transfer "
        "plan_dense plan_transfer",
        ".papers.record": "Record",
        ".planning.cost": "Cost ModelCost",
        ".planning.label_cost": "LabelCost",
        ".planning.plan": "Plan",
        ".planning.resolution": "resolve",
        ".predictions": "predict predict_to_file",
        ".recipes.description": "describe_recipe",
        ".recipes.own": "Loss own_recipe",
        ".recipes.recipe": "Recipe",
        ".recipes.recipe_file": "export_recipe load_recipe",
        ".recipes.registry": "get_recipe list_recipes",
        ".reproduction": "PlannedTable list_tables plan_table reproduce",
        ".runs": "PlannedRun distill plan_run train",
        ".sharing": "export_model package publish",
        ".transfer.classification.measure": "TransferReport",
        ".transfer.dense": "Comparison DenseCost",
        ".transfer.dense.papers": "PaperRow",
        ".zoo": "LoadedModel Pulled create_model describe_model list_architectures list_models load_model pull "
        "save_model",
        ".zoo.exporting": "Exported",
        ".zoo.own_teacher": "OwnTeacher",
        ".zoo.publishing": "write_package",
        ".zoo.pulling": "convert_file convert_weights",
    },
)

__all__ = [
    "CheckReport",
    "CheckpointError",
    "ComparedResult",
    "Comparison",
    "Cost",
    "CurationResult",
    "DataError",
    "DenseCost",
    "EvaluationResult",
    "Exported",
    "Given",
    "Interrupted",
    "KdzooError",
    "LabelCost",
    "LabelResult",
    "LoadedModel",
    "Loss",
    "ModelComparison",
    "ModelCost",
    "ModelError",
    "OwnTeacher",
    "PaperRow",
    "Plan",
    "PlannedDense",
    "PlannedLabels",
    "PlannedRun",
    "PlannedTable",
    "PlannedTransfer",
    "Prediction",
    "Pulled",
    "Recipe",
    "Record",
    "RunError",
    "StepView",
    "TeacherError",
    "TrainResult",
    "TransferReport",
    "UsageError",
    "__version__",
    "check_data",
    "check_source",
    "compare_results",
    "convert_file",
    "convert_weights",
    "create_model",
    "curate",
    "describe_model",
    "describe_recipe",
    "distill",
    "evaluate",
    "examine",
    "export_model",
    "export_recipe",
    "generate_data",
    "get_recipe",
    "label",
    "list_architectures",
    "list_models",
    "list_recipes",
    "list_tables",
    "load_model",
    "load_recipe",
    "measure_detection",
    "measure_segmentation",
    "measure_transfer",
    "open_source",
    "own_recipe",
    "pack_data",
    "package",
    "plan_dense",
    "plan_labels",
    "plan_run",
    "plan_table",
    "plan_transfer",
    "predict",
    "predict_to_file",
    "publish",
    "pull",
    "reproduce",
    "resolve",
    "run_demo",
    "save_model",
    "train",
    "unpack_data",
    "write_analysis",
    "write_package",
    "write_report",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
