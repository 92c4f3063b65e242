"""What published weights promise: top-1 accuracy in percent on ImageNet's 50,000 validation images.

From timm's own results (results/results-imagenet.csv), each at the preprocessing in its pretrained_cfg. Only the
weights that the recipes name are listed; a teacher's promise is checked before a run.
"""

from __future__ import annotations

PROMISED_ON = "imagenet"

PROMISED_TOP1 = {
    "efficientnet_b0.ra_in1k": 77.70,
    "resnet18.tv_in1k": 69.75,
    "resnet50.ram_in1k": 79.03,
    "resnet152s.gluon_in1k": 81.05,
    "resnext50_32x4d.fb_swsl_ig1b_ft_in1k": 82.16,
    "resnext50_32x4d.ra_in1k": 79.80,
    "senet154.gluon_in1k": 81.26,
    "tf_efficientnet_b0.aa_in1k": 76.88,
    "tf_efficientnet_b0.ap_in1k": 77.10,
    "tf_efficientnet_b0.ns_jft_in1k": 78.68,
    "tf_efficientnet_b1.aa_in1k": 78.84,
    "tf_efficientnet_b1.ap_in1k": 79.29,
    "tf_efficientnet_b1.ns_jft_in1k": 81.39,
    "tf_efficientnet_b4.aa_in1k": 83.04,
    "tf_efficientnet_b4.ns_jft_in1k": 85.16,
    "tf_mobilenetv3_large_100.in1k": 75.51,
    "tf_mobilenetv3_small_075.in1k": 65.71,
    "tf_mobilenetv3_small_100.in1k": 67.92,
}
