"""The papers that the entries come from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Paper:
    """One publication. `arxiv` is empty where there is none."""

    title: str
    authors: str
    year: int
    arxiv: str = ""
    url: str = ""

    @property
    def address(self) -> str:
        """Where to read it."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "url": self.address}


PAPERS = {
    "meal": Paper("MEAL: Multi-Model Ensemble via Adversarial Learning", "Shen, He, Xue", 2019, "1812.02425"),
    "meal_v2": Paper(
        "MEAL V2: Boosting Vanilla ResNet-50 to 80%+ Top-1 Accuracy on ImageNet without Tricks",
        "Shen, Savvides",
        2020,
        "2009.08453",
    ),
    "ssld": Paper(
        "Beyond Self-Supervision: A Simple Yet Effective Network Distillation Alternative to Improve Backbones",
        "Cui et al.",
        2021,
        "2103.05959",
    ),
    "pp_lcnet": Paper("PP-LCNet: A Lightweight CPU Convolutional Neural Network", "Cui et al.", 2021, "2109.15099"),
    "pp_hgnet": Paper(
        "PP-HGNet and PP-HGNetV2 (PaddleClas documentation)",
        "PaddleClas authors",
        2022,
        "",
        "https://github.com/PaddlePaddle/PaddleClas",
    ),
    "nextvit": Paper(
        "Next-ViT: Next Generation Vision Transformer for Efficient Deployment in Realistic Industrial Scenarios",
        "Li et al.",
        2022,
        "2207.05501",
    ),
    "deit": Paper(
        "Training data-efficient image transformers & distillation through attention",
        "Touvron et al.",
        2021,
        "2012.12877",
    ),
    "cait": Paper("Going deeper with Image Transformers", "Touvron et al.", 2021, "2103.17239"),
    "levit": Paper(
        "LeViT: a Vision Transformer in ConvNet's Clothing for Faster Inference", "Graham et al.", 2021, "2104.01136"
    ),
    "xcit": Paper("XCiT: Cross-Covariance Image Transformers", "El-Nouby et al.", 2021, "2106.09681"),
    "resmlp": Paper(
        "ResMLP: Feedforward networks for image classification with data-efficient training",
        "Touvron et al.",
        2021,
        "2105.03404",
    ),
    "pit": Paper("Rethinking Spatial Dimensions of Vision Transformers", "Heo et al.", 2021, "2103.16302"),
    "tiny_vit": Paper(
        "TinyViT: Fast Pretraining Distillation for Small Vision Transformers", "Wu et al.", 2022, "2207.10666"
    ),
    "repvit": Paper("RepViT: Revisiting Mobile CNN From ViT Perspective", "Wang et al.", 2023, "2307.09283"),
    "efficientformer": Paper(
        "EfficientFormer: Vision Transformers at MobileNet Speed", "Li et al.", 2022, "2206.01191"
    ),
    "efficientformerv2": Paper(
        "Rethinking Vision Transformers for MobileNet Size and Speed", "Li et al.", 2022, "2212.08059"
    ),
    "fastvit": Paper(
        "FastViT: A Fast Hybrid Vision Transformer using Structural Reparameterization",
        "Vasu et al.",
        2023,
        "2303.14189",
    ),
    "swiftformer": Paper(
        "SwiftFormer: Efficient Additive Attention for Transformer-based Real-time Mobile Vision Applications",
        "Shaker et al.",
        2023,
        "2303.15446",
    ),
    "patient_teacher": Paper(
        "Knowledge distillation: A good teacher is patient and consistent", "Beyer et al.", 2021, "2106.05237"
    ),
    "fixres": Paper("Fixing the train-test resolution discrepancy", "Touvron et al.", 2019, "1906.06423"),
    "fixefficientnet": Paper(
        "Fixing the train-test resolution discrepancy: FixEfficientNet", "Touvron et al.", 2020, "2003.08237"
    ),
    "noisy_student": Paper(
        "Self-training with Noisy Student improves ImageNet classification", "Xie et al.", 2019, "1911.04252"
    ),
    "advprop": Paper("Adversarial Examples Improve Image Recognition", "Xie et al.", 2019, "1911.09665"),
    "billion_scale": Paper(
        "Billion-scale semi-supervised learning for image classification", "Yalniz et al.", 2019, "1905.00546"
    ),
    "wsl": Paper("Exploring the Limits of Weakly Supervised Pretraining", "Mahajan et al.", 2018, "1805.00932"),
    "timm": Paper("PyTorch Image Models", "Wightman", 2019, "", "https://github.com/huggingface/pytorch-image-models"),
    "gluon": Paper(
        "Bag of Tricks for Image Classification with Convolutional Neural Networks", "He et al.", 2018, "1812.01187"
    ),
    "torchvision": Paper("TorchVision", "TorchVision authors", 2016, "", "https://github.com/pytorch/vision"),
    "efficientnet": Paper(
        "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", "Tan, Le", 2019, "1905.11946"
    ),
    "mobilenetv3": Paper("Searching for MobileNetV3", "Howard et al.", 2019, "1905.02244"),
}
