"""Which kernels dense runs and their plans take: native ones on a GPU unless asked otherwise, exact ones on a CPU.

What a pass allocates on "cuda" is told by fake tensors, so that no GPU is needed: nothing grows as torch's and
torchvision's deterministic forms do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kdzoo.engine.precision import deterministic
from kdzoo.transfer import detection, segmentation
from kdzoo.transfer.dense.cost import Probe, measure_cost
from kdzoo.transfer.dense.plan import DensePlan, DenseRequest
from kdzoo.transfer.segmentation.engines import make_engine
from kdzoo.zoo import load_model

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
Plan = DensePlan[Any, Any, Any]


class Allocated(TorchDispatchMode):
    """Counts the bytes behind what each operation gives: the largest, and all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            if isinstance(one, Tensor):
                size = one.untyped_storage().nbytes()
                self.largest, self.total = max(self.largest, size), self.total + size
        return found


@pytest.fixture
def make_plan() -> Callable[..., Plan]:
    """``make_plan(kind, **settings)``: of the papers' data set, which is not here."""

    def make(kind: Any, precision: str = "fp32", **given: Any) -> Plan:
        task = "coco" if kind is detection else "cityscapes"
        values = {name: (value, "test") for name, value in given.items()}
        request = DenseRequest(
            task=task,
            backbone="test_resnet",
            engine="torchvision",
            given=values,
            precision=precision,
            device="cpu",
        )
        plan: Plan = kind.make_plan(request)
        return plan

    return make


def on_cuda(plan: Plan, work: Callable[[], object]) -> Allocated:
    """What work allocates by the kernels that a run of the plan takes on a GPU."""
    with (
        deterministic(plan.is_deterministic(CUDA), benchmark=plan.CUDNN_BENCHMARK),
        torch.compiler.set_stance("force_eager"),
        Allocated() as allocated,
    ):
        work()
    return allocated


def test_cudnn_searches_unless_told_not_to_and_never_where_exact() -> None:
    before = torch.backends.cudnn.benchmark
    found = []
    for exact, benchmark in ((False, None), (False, True), (False, False), (True, None), (True, True)):
        with deterministic(exact, benchmark=benchmark):
            found.append(torch.backends.cudnn.benchmark)
        assert torch.backends.cudnn.benchmark == before
    assert found == [True, True, False, False, False]


@pytest.mark.parametrize("kind", [detection, segmentation])
def test_exactness_is_a_setting_and_a_cpu_has_it_anyway(kind: Any, make_plan: Callable[..., Plan]) -> None:
    plan, exact = make_plan(kind), make_plan(kind, deterministic=True)
    assert [plan.is_deterministic(CUDA), plan.is_deterministic(CPU)] == [False, True]
    assert [exact.is_deterministic(CUDA), exact.is_deterministic(CPU)] == [True, True]
    assert "deterministic" not in plan.values()  # runs of before there was a choice go on
    assert exact.values()["deterministic"] is True
    assert "more memory" in plan.resolved.to_dict()["deterministic"]["source"]
    assert any("more memory" in note for note in exact.notes)
    assert not any("deterministic" in note for note in plan.notes)


def test_no_pooled_region_takes_gigabytes(make_plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    """detectron2's pooler at its finest map of an image of 800x1333: as many samples a bin as the region needs."""
    module = sys.modules["torchvision.ops.roi_align"]
    monkeypatch.setattr(module, "is_compile_supported", lambda device: True)  # as where there is a GPU
    plan, exact = make_plan(detection), make_plan(detection, deterministic=True)
    with FakeTensorMode():
        features = torch.empty(2, 256, 200, 336, device=CUDA)

        def pool(number: int) -> Tensor:
            regions = torch.empty(number, 5, device=CUDA)
            pooled: Tensor = module.roi_align(features, regions, 7, 0.25, 0, True)
            return pooled

        native = on_cuda(plan, lambda: pool(512))
        assert native.largest <= 512 * 256 * 7 * 7 * 4
        assert on_cuda(exact, lambda: pool(1)).largest > 2**30


@pytest.mark.parametrize("head", ["fcn", "deeplabv3plus"])
def test_upsampled_logits_are_allocated_once(head: str, make_plan: Callable[..., Plan]) -> None:
    found = {}
    for exact in (False, True):
        plan = make_plan(segmentation, head=head, channels=32, deterministic=exact)
        segmentor = make_engine(plan.engine).build(load_model("test_resnet"), plan.settings, 19, 0)
        with FakeTensorMode(allow_non_fake_inputs=True):
            model = segmentor.model.to(CUDA).train()
            images = torch.empty(2, 3, *plan.settings.crop, device=CUDA)
            labels = torch.empty(2, *plan.settings.crop, dtype=torch.int64, device=CUDA)
            found[exact] = on_cuda(plan, lambda: segmentor.losses(model, images, labels))  # noqa: B023
    logits = 4 * 2 * 19 * 512 * 1024
    assert found[False].largest == logits
    assert found[True].total - found[False].total > 4 * logits


@pytest.mark.parametrize(("precision", "kind"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_plans_step_is_measured_as_the_run_takes_it(
    precision: str, kind: torch.dtype, make_plan: Callable[..., Plan]
) -> None:
    plan, model = make_plan(detection, precision), nn.Linear(3, 2)
    seen = set()

    def losses(number: int) -> dict[str, Tensor]:
        found = model(torch.ones(number, 3))
        seen.add((found.dtype, torch.are_deterministic_algorithms_enabled()))
        return {"sum": found.sum()}

    cost = measure_cost(plan, model, Probe(losses=losses, device=CPU, images=2, size=(8, 8), view=(8, 8)))
    assert seen == {(kind, True)}
    assert cost.step_s is not None
    assert not torch.are_deterministic_algorithms_enabled()
