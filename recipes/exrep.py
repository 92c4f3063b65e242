"""ExRep: an input distiller and the student learn to look to a critic like a teacher that has seen far more images.

Paper:   Compensating for the Lack of Extra Training Data by Learning Extra Representation (ExRep), H. Jeon, S. Han,
         S. Lee, S. S. Woo, ACCV 2020; code: cutz-j/ExRep, and the notebooks that it held before ba54179
Table:   Table 1: EfficientNet-B1 78.8 → 79.8 top-1, 94.5 top-5; EfficientNet-B0 77.6 → 77.9, 93.6
         Table 2: B1 with the distiller 79.9, with MSE in place of the critic 79.7, without the distiller 80.1
         Table 3: ResNeXt 79.7 → 81.1 top-1, 95.1 top-5
Command: kdzoo distill --recipe exrep --student tf_efficientnet_b1 --out runs/exrep
         kdzoo train --recipe exrep_transfer --model cifar_pyramidnet272_a200 --set objective.distiller_run=runs/exrep
         kdzoo eval runs/exrep/model --data imagenet
Cost:    not measured yet; ``--dry-run`` estimates it, the banks' memory included (1.31 GB on ImageNet)

The three stages of the paper (§3.1) are the three commands: learn with the input distiller G; let G help to train a new
classifier on other data; evaluate the student alone, without G, which is what the exported model is.

A step: the student sees x̃ = x + G(x), the teacher sees x. First the critic D learns to tell the teacher's pooled
features from the student's, which are detached. Then G, the student and CRD's embeddings lower
kd + hard_label + contrast + adversarial, against the critic that has just moved.

Deviations:
    1. The authors' critic was never published: this one is a perceptron 1280-512-256-1 without BatchNorm and dropout,
       so that its training and evaluation agree; in the authors' log of one run both sides' losses went to zero.
    2. The learning rate falls at every 2.4 epochs, at the step; their timm moves it at whole epochs.
    3. Dropout and stochastic depth of 0.2 stand in their configuration; the student is in eval mode here, where
       neither acts. In variant notebook_copy1 it is in training mode, and still has neither.
    4. Several processes and accumulation: as in ``crd``, deviations 3 and 4.
    5. A step's graphs are kept from the critic's phase to the student's, of all accumulated parts: accumulation
       saves no memory here.
    6. The student has to be a trained one, as the paper's is: with its BatchNorm in eval mode random weights go
       astray. objective.student_mode=train is for those.
    7. Negatives, augmentation and the order of the images come from kdzoo's own random numbers, and an incomplete
       last batch of an epoch is dropped.
    8. The input distiller computes in float32 whatever training.precision is.

Conflicts:
    1. What is trained. Fig. 3 draws both models frozen; §3.2 trains the student, and Eq. 5 and 9 minimise over the
       teacher, a misprint. One notebook freezes the student, the others train it in the same SGD as G. A frozen
       student, evaluated without G, is the student one began with, so Table 1 needs a trained one. Default: the
       student is trained, its BatchNorm in eval mode as in notebook "-save"; variants frozen_student and
       notebook_copy1.
    2. Input distiller. The repository's last file has five blocks on either side and a tanh (8,385,539 parameters);
       the notebooks print three and none (3,662,851). Default: the notebooks', which was trained; variant
       head_distiller.
    3. Weights. The paper gives none. config/train.yaml has λ_g = λ_critic = 0.1, config/test.yaml and notebook "-save"
       have 0.8. Default: train.yaml; variants test_config and notebook_save.
    4. The generator's loss. Algorithm 1 prints log(1 − D(student)); the notebooks minimise −log D(student). Default:
       the notebooks; objective.saturating=true for the other.
    5. λ_critic multiplies both halves of the critic's loss in Eq. 11, only the real half in the notebooks' backward
       pass. Default: the notebooks; objective.critic_weighted=both for the other.
    6. The teacher's input is x̃ in Eq. 6 and x in Algorithm 1 and every notebook. Default: x; variant
       teacher_sees_distilled.
    7. Table 1 gives 79.8 / 94.5 for EfficientNet-B1 and Table 2 gives 79.9 / 95.1 for the same run.
    8. Stage 3 evaluates without G (§3.5), the notebooks validate with it. Default: without, as the tables say.
    9. The augmentation of train.yaml lists AutoAugment; the code passes none of it. Default: none. Notebook "-save"
       trains on the evaluation transform, as its teacher's answers were stored once; variant notebook_save.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor, nn
from torch.nn import functional

from ..base.errors import UsageError
from ..base.setting_values import LabelSmoothing, Range, Temperature, Weight
from ..engine.objective import ModelOutput, Objective, ParameterGroup, Phase, StepView, student_group
from .blocks import MIXING_ON_REQUEST, OWN_VALIDATION, SAME_VIEW, UNMIXED
from .contrast import Contrast, ContrastSettings
from .input_distiller import DistillerSettings
from .objectives.critic import Critic, critic_terms, generator_term
from .objectives.hard_labels import mixed_cross_entropy
from .objectives.input_distiller import InputDistiller, distil
from .objectives.soft_labels import mean_probabilities, tempered_kl
from .recipe import ObjectiveMemory, Paper, Shapes, TaughtSettings, TeacherReads
from .rows import at, columns, from_rows, sources, student, variant


@dataclass(frozen=True, kw_only=True)
class ExRepSettings(TaughtSettings):
    """λ_KL·τ²·KL(teacher‖student) + λ_CE·CE + λ_CRD·CRD + λ_g·adversarial, against a critic.

    Attributes:
        distiller: The input distiller.
        freeze_student: Whether only the distiller and the embeddings learn.
        student_mode: ``eval``: the student's BatchNorm keeps its statistics; ``train``: they move.
        teacher_input: What the teacher sees: the image (``clean``) or what the student sees (``distilled``).
        temperature: τ.
        kd_weight: λ_KL.
        label_weight: λ_CE.
        label_smoothing: Of CE, spread over all classes.
        contrast_weight: λ_CRD.
        contrast: CRD's settings.
        adversary: ``critic``; ``mse``: the mean squared difference of the features in its place; ``none``.
        generator_weight: λ_g.
        critic_weight: λ_critic.
        critic_weighted: Which halves of the critic's loss λ_critic multiplies: ``real`` or ``both``.
        critic_hidden: Widths of the critic's hidden layers.
        saturating: Minimise log(1 − D(student)) in place of −log D(student).
        mse_weight: Of the features' difference.
    """

    distiller: DistillerSettings
    freeze_student: bool
    student_mode: Literal["eval", "train"]
    teacher_input: Literal["clean", "distilled"]
    temperature: Temperature
    kd_weight: Weight
    label_weight: Weight
    label_smoothing: LabelSmoothing
    contrast_weight: Weight
    contrast: ContrastSettings
    adversary: Literal["critic", "mse", "none"]
    generator_weight: Weight
    critic_weight: Weight
    critic_weighted: Literal["real", "both"]
    critic_hidden: Annotated[tuple[int, ...], Range(1, 65_536)]
    saturating: bool
    mse_weight: Weight

    uses_labels = True

    @property
    def reads(self) -> TeacherReads:
        distilled = self.teacher_input == "distilled" and self.distiller.form != "none"
        live = "its teacher looks at distilled images" if distilled else ""
        return TeacherReads(features=True, live=live, made_images=distilled, memory=True)

    @property
    def needs_trained_student(self) -> bool:
        return self.freeze_student or self.student_mode == "eval"

    def memory(self, num_images: int, batch_size: int, num_teachers: int) -> ObjectiveMemory:
        return self.contrast.memory(num_images, batch_size, num_teachers)

    def build(self, shapes: Shapes) -> Objective:
        if shapes.num_teachers != 1:
            raise UsageError(
                f"exrep has one teacher, {shapes.num_teachers} are given", hint="name one with --teacher REF"
            )
        if self.freeze_student and self.distiller.form == "none":
            raise UsageError(
                "a frozen student without an input distiller learns nothing",
                hint="use variant frozen_student or variant no_distiller, not both",
            )
        if self.adversary != "none" and shapes.student_features != shapes.teacher_features[0]:
            raise UsageError(
                f"the student's features are {shapes.student_features} wide and the teacher's "
                f"{shapes.teacher_features[0]}: exrep compares them one to one",
                hint="use a teacher of the student's width, or --set objective.adversary=none",
            )
        critic = Critic(shapes.student_features, self.critic_hidden) if self.adversary == "critic" else None
        return ExRep(self, shapes, self.distiller.build(shapes.image_size), critic, Contrast(self.contrast, shapes))


class ExRep(Objective):
    """Phases: ``critic`` (where there is one), then ``student``.

    Terms of ``critic``: ``critic_real``, ``critic_fake``. Of ``student``: ``kd``, ``hard_label``, ``contrast``, and
    ``adversarial`` or ``feature_mse``.
    """

    def __init__(
        self,
        settings: ExRepSettings,
        shapes: Shapes,
        distiller: InputDistiller | None,
        critic: Critic | None,
        contrast: Contrast,
    ) -> None:
        super().__init__()
        self.settings, self.mean, self.std = settings, shapes.mean, shapes.std
        self.distiller, self.critic, self.contrast = distiller, critic, contrast
        self._answers: dict[int, tuple[Tensor, ModelOutput]] = {}

    def phases(self, student: nn.Module) -> tuple[Phase, ...]:
        groups = [ParameterGroup("embeddings", self.contrast.embeddings())]
        if self.distiller is not None:
            groups.insert(0, ParameterGroup("distiller", list(self.distiller.named_parameters())))
        if self.settings.freeze_student:
            student.requires_grad_(False)
        else:
            groups.insert(0, student_group(student))
        phases = [Phase("student", tuple(groups))]
        if self.critic is not None:
            critic = ParameterGroup("critic", list(self.critic.named_parameters()))
            phases.insert(0, Phase("critic", (critic,)))
        return tuple(phases)

    def set_modes(self, student: nn.Module) -> None:
        if self.settings.freeze_student or self.settings.student_mode == "eval":
            student.eval()

    def terms(self, phase: str, step: StepView) -> dict[str, Tensor]:
        if phase == "critic":
            images, student = self._answers[id(step)] = self._look(step)
            return self._critic_terms(step, images, student)
        images, student = self._answers.pop(id(step)) if id(step) in self._answers else self._look(step)
        return self._student_terms(step, images, student)

    def after_step(self, step: StepView) -> None:
        self.contrast.update(step)

    def distil(self, images: Tensor) -> Tensor:
        """x + G(x) on images in [0, 1]; G itself works on the student's normalisation (Eq. 1)."""
        if self.distiller is None:
            return images
        return distil(self.distiller, images, self.mean, self.std)

    def _look(self, step: StepView) -> tuple[Tensor, ModelOutput]:
        """The images as the student sees them, and its answer; run once a step, as the published loop does."""
        if self.distiller is None:
            return step.images, step.student()
        images = self.distil(step.images)
        return images, step.student(images)

    def _teacher(self, step: StepView, images: Tensor) -> tuple[Tensor, Tensor]:
        own = self.settings.teacher_input == "distilled" and self.distiller is not None
        answer = step.teachers(images.detach()) if own else step.teachers()
        return answer.logits[0], answer.features[0]

    def _critic_terms(self, step: StepView, images: Tensor, student: ModelOutput) -> dict[str, Tensor]:
        assert self.critic is not None
        settings, (_, features) = self.settings, self._teacher(step, images)
        real, fake = self.critic.train()(features), self.critic(student.features.detach())
        return critic_terms(real, fake, settings.critic_weight, weighted=settings.critic_weighted)

    def _student_terms(self, step: StepView, images: Tensor, student: ModelOutput) -> dict[str, Tensor]:
        settings, (logits, features) = self.settings, self._teacher(step, images)
        target = mean_probabilities([logits], settings.temperature)
        hard = mixed_cross_entropy(
            student.logits, step.labels, step.mixed_labels, step.mix_weight, settings.label_smoothing
        )
        terms = {
            "kd": settings.kd_weight * tempered_kl(student.logits, target, settings.temperature),
            "hard_label": settings.label_weight * hard,
            "contrast": settings.contrast_weight * self.contrast.loss(step, student.features, [features]),
        }
        if self.critic is not None:
            judged = self.critic.eval()(student.features)
            terms["adversarial"] = generator_term(judged, settings.generator_weight, saturating=settings.saturating)
        elif settings.adversary == "mse":
            terms["feature_mse"] = settings.mse_weight * functional.mse_loss(student.features, features)
        return terms


PAPER = Paper(
    title="Compensating for the Lack of Extra Training Data by Learning Extra Representation",
    authors="Hyeonseong Jeon, Siho Han, Sangwon Lee, Simon S. Woo",
    year=2020,
    url="https://openaccess.thecvf.com/content/ACCV2020/html/"
    "Jeon_Compensating_for_the_Lack_of_Extra_Training_Data_by_Learning_ACCV_2020_paper.html",
    code="cutz-j/ExRep 3d20bcc; its notebooks at ba54179~1",
)

RECIPE = from_rows(
    name="exrep",
    summary="An input distiller, a critic and CRD bring a student close to a teacher that saw far more images.",
    paper=PAPER,
    reproduces=(
        "Table 1: EfficientNet-B1 78.8 to 79.8 top-1, 94.5 top-5; EfficientNet-B0 77.6 to 77.9 top-1, 93.6 top-5",
        "Table 2: B1 without the distiller 80.1, with it 79.9, with MSE for the critic 79.7; B0 78.0, 77.9, 77.6",
        "Table 3: ResNeXt 79.7 to 81.1 top-1, 95.1 top-5",
    ),
    objective=ExRepSettings,
    settings=(
        *at(
            "§4.3",
            {
                "student.model": "tf_efficientnet_b1",
                "student.init": "pretrained",
                "teachers.models": ("tf_efficientnet_b1.ns_jft_in1k",),
            },
        ),
        *at("§4.1", {"data.dataset": "imagenet", "data.unlabeled": None, "data.evaluation.interpolation": "bicubic"}),
        SAME_VIEW,
        OWN_VALIDATION,
        ("data.augmentation.image_size", 240, "§4.1: 240 for B1"),
        ("data.augmentation.crop", "random_resized", "code: adv_recon_att_sp-Copy1.ipynb, transforms_imagenet_train"),
        ("data.augmentation.scale", (0.08, 1.0), "code: timm/data/transforms_factory.py"),
        ("data.augmentation.ratio", (0.75, 1.3333333333333333), "code: timm/data/transforms.py"),
        ("data.augmentation.interpolation", "bicubic", "§4.1; code: config/train.yaml"),
        ("data.augmentation.policy", None, "code: adv_recon_att_sp-Copy1.ipynb, auto_augment=False"),
        *at(
            "code: timm/data/transforms_factory.py",
            {"data.augmentation.hflip_prob": 0.5, "data.augmentation.lighting_std": 0.0},
        ),
        *MIXING_ON_REQUEST,
        *at(
            "code: config/train.yaml",
            UNMIXED,
            {
                "data.augmentation.color_jitter": (0.2, 0.2, 0.2),
                "data.augmentation.erase_prob": 0.1,
                "data.augmentation.erase_mode": "const",
                "data.evaluation.crop_pct": 0.882,
                "data.mean": "model",
                "data.std": "model",
                "training.epochs": 200,
                "training.batch_size": 180,
                "optimizer.name": "sgd",
                "optimizer.lr": 0.003,
                "optimizer.momentum": 0.9,
                "optimizer.weight_decay": 0.0,
                "schedule.gamma": 0.97,
                "schedule.period_epochs": 2.4,
                "schedule.warmup_epochs": 0.0,
            },
        ),
        ("training.precision", "fp32", "code: config/train.yaml, amp: False"),
        *at("code: timm/optim/optim_factory.py", {"optimizer.nesterov": True, "optimizer.decay_norm_and_bias": False}),
        ("schedule.name", "exponential", "code: config/train.yaml, step"),
        ("schedule.staircase", True, "code: timm/scheduler/step_lr.py"),
        ("schedule.update", "step", "ours: falls at every 2.4 epochs; their timm waits for the next whole one"),
        ("objective.distiller.form", "notebook", "code: adv_recon_att_sp-Copy1.ipynb, the network printed there"),
        ("objective.distiller.width", 0, "code: critic/resnet_generator.py"),
        ("objective.distiller.max_width", 256, "code: adv_recon_att_sp-Copy1.ipynb"),
        ("objective.freeze_student", False, "§3.2; code: adv_recon_att_sp-save.ipynb"),
        ("objective.teacher_input", "clean", "code: adv_recon_att_sp-Copy1.ipynb; §3.4, Algorithm 1"),
        *at(
            "code: config/train.yaml",
            {
                "objective.temperature": 4.0,
                "objective.kd_weight": 1.0,
                "objective.label_weight": 1.0,
                "objective.label_smoothing": 0.1,
                "objective.contrast_weight": 0.8,
                "objective.contrast.embedding_dim": 128,
                "objective.contrast.num_negatives": 4096,
                "objective.contrast.temperature": 0.07,
                "objective.contrast.momentum": 0.5,
                "objective.generator_weight": 0.1,
                "objective.critic_weight": 0.1,
            },
        ),
        ("objective.contrast.positive", "exact", "code: dataset/imagenet.py, pos_idx"),
        ("objective.contrast.replacement", "always", "code: dataset/imagenet.py, replace=True"),
        ("objective.adversary", "critic", "§3.4"),
        ("objective.critic_hidden", (512, 256), "ours: the authors' critic was never published"),
        *at(
            "code: adv_recon_att_sp-save.ipynb",
            {"objective.student_mode": "eval", "objective.critic_weighted": "real", "objective.saturating": False},
        ),
        ("objective.mse_weight", 1.0, "ours: not stated"),
    ),
    students=(
        columns("name", "teachers", "image_size", "initial_top1", "top1", "top5"),
        sources("§4.3", "§4.3", "Table 1", "timm: results-imagenet.csv", "Table 1", "Table 1"),
        student("tf_efficientnet_b1", None, 240, 78.84, 79.8, 94.5),
        ("model", "tf_efficientnet_b1.aa_in1k", "ours: the tag whose 78.84 is Table 1's 78.8, cut off"),
        ("teachers", ("tf_efficientnet_b1.ns_jft_in1k",), "§4.3; code: adv_recon_att_sp-Copy1.ipynb"),
        ("note", "Table 2 gives 79.9 and 95.1 for it"),
        student("efficientnet_b0", ("tf_efficientnet_b0.ns_jft_in1k",), 224, 77.70, 77.9, 93.6),
        ("model", "efficientnet_b0.ra_in1k", "ours: inferred from Table 1's 77.6"),
        ("data.evaluation.crop_pct", 0.875, "timm: models/efficientnet.py, _cfg"),
        sources("", "", "Table 3", "timm: results-imagenet.csv", "Table 3", "Table 3"),
        student(None, None, 224, 79.80, 81.1, 95.1),
        ("name", "resnext50_32x4d", "ours: inferred; the paper does not print depth and width"),
        ("model", "resnext50_32x4d.ra_in1k", "ours: inferred from Table 3's 79.7"),
        ("teachers", ("resnext50_32x4d.fb_swsl_ig1b_ft_in1k",), "ours: inferred from Table 3's 82.1"),
        ("note", "its teacher's licence is non-commercial"),
        ("data.evaluation.crop_pct", 0.875, "timm: models/resnet.py, _cfg"),
    ),
    variants=(
        variant("no_distiller", "Table 2's rows without the input distiller, KD + CRD: B1 80.1, B0 78.0 top-1"),
        *at("Table 2", {"objective.distiller.form": "none", "objective.adversary": "none"}),
        variant("mse", "Table 2's rows with the features' MSE in place of the critic: B1 79.7, B0 77.6 top-1"),
        ("objective.adversary", "mse", "Table 2"),
        variant("frozen_student", "the other reading of Fig. 3: only the distiller and the embeddings learn"),
        ("objective.freeze_student", True, "Fig. 3; code: adv_recon_att_sp.ipynb"),
        variant("head_distiller", "the input distiller of the repository's last revision"),
        ("objective.distiller.form", "repository", "code: critic/resnet_generator.py"),
        variant("teacher_sees_distilled", "Eq. 6 as printed: the teacher sees what the student sees"),
        ("objective.teacher_input", "distilled", "Eq. 6"),
        variant(
            "algorithm_1",
            "the adversarial terms as printed: a saturating generator, both halves of the critic weighted",
        ),
        ("objective.saturating", True, "§3.4, Algorithm 1"),
        ("objective.critic_weighted", "both", "Eq. 11"),
        variant("test_config", "the repository's other configuration: λ 0.8, rate 0.01, some decay"),
        *at(
            "code: config/test.yaml",
            {
                "training.batch_size": 256,
                "optimizer.lr": 0.01,
                "optimizer.weight_decay": 1e-4,
                "objective.generator_weight": 0.8,
                "objective.critic_weight": 0.8,
            },
        ),
        variant("notebook_save", "notebook adv_recon_att_sp-save: the evaluation transform in training, λ 0.8"),
        *at(
            "code: adv_recon_att_sp-save.ipynb, transforms_imagenet_eval",
            {
                "data.augmentation.crop": "center",
                "data.augmentation.crop_pct": 0.882,
                "data.augmentation.hflip_prob": 0.0,
                "data.augmentation.color_jitter": None,
                "data.augmentation.erase_prob": 0.0,
            },
        ),
        *at(
            "code: adv_recon_att_sp-save.ipynb",
            {
                "training.batch_size": 150,
                "optimizer.lr": 0.005,
                "objective.generator_weight": 0.8,
                "objective.critic_weight": 0.8,
            },
        ),
        variant("notebook_copy1", "notebook adv_recon_att_sp-Copy1: the student's BatchNorm in training mode, λ 0.1"),
        *at(
            "code: adv_recon_att_sp-Copy1.ipynb",
            {"training.batch_size": 153, "optimizer.lr": 0.00256, "objective.student_mode": "train"},
        ),
        variant("small_images", "CIFAR's padded crop and a narrower distiller for images of about 32 px"),
        *at(
            "ours: as CIFAR is trained on",
            {
                "data.augmentation.crop": "pad4",
                "data.augmentation.color_jitter": None,
                "data.augmentation.erase_prob": 0.0,
            },
        ),
        ("data.evaluation.crop_pct", 1.0, "ours: as CIFAR is tested on"),
        ("objective.distiller.width", 64, "ours: the published rule would give 512 at 32 px"),
    ),
)
