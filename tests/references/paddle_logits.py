"""Write what PaddleClas' own networks compute from fixed weights: the references of the conversion tests.

Runs in an environment of its own (`pip install paddlepaddle requests tqdm`), with a checkout of PaddleClas given as
an argument:

    python tests/references/paddle_logits.py CHECKOUT --revision d178931f --keys legendary --out tests/references/paddle

`--keys legendary` wants a checkout of `develop`, `--keys plain` one of `release/2.0`. For each network one file
NETWORK-KEYS.npz: the names and shapes of all its tensors, the logits for two fixed images, those of the first image
once more in float64, and where they come from. No weights.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
from fixed_weights import GAIN, fixed_images, fixed_tensor

# network -> module of `develop`
LEGENDARY = {
    "ResNet34_vd": "legendary_models.resnet",
    "ResNet50_vd": "legendary_models.resnet",
    "ResNet101_vd": "legendary_models.resnet",
    "MobileNetV1": "legendary_models.mobilenet_v1",
    "MobileNetV3_large_x1_0": "legendary_models.mobilenet_v3",
    "MobileNetV3_small_x1_0": "legendary_models.mobilenet_v3",
    "MobileNetV3_small_x0_35": "legendary_models.mobilenet_v3",
    "PPLCNet_x0_25": "legendary_models.pp_lcnet",
    "PPLCNet_x0_5": "legendary_models.pp_lcnet",
    "PPLCNet_x1_0": "legendary_models.pp_lcnet",
    "PPLCNet_x2_5": "legendary_models.pp_lcnet",
}
# networks whose keys never changed: `develop` writes them as release/2.0 did
UNCHANGED = {
    "MobileNetV2": "model_zoo.mobilenet_v2",
    "GhostNet_x1_3": "model_zoo.ghostnet",
    "Res2Net50_vd_26w_4s": "model_zoo.res2net_vd",
    "Res2Net101_vd_26w_4s": "model_zoo.res2net_vd",
}
# network -> module of release/2.0
PLAIN = {
    "ResNet34_vd": "resnet_vd",
    "ResNet50_vd": "resnet_vd",
    "ResNet101_vd": "resnet_vd",
    "MobileNetV1": "mobilenet_v1",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3_large_x1_0": "mobilenet_v3",
    "MobileNetV3_small_x1_0": "mobilenet_v3",
    "MobileNetV3_small_x0_35": "mobilenet_v3",
    "GhostNet_x1_3": "ghostnet",
    "Res2Net50_vd_26w_4s": "res2net_vd",
    "Res2Net101_vd_26w_4s": "res2net_vd",
}


def bare_packages(checkout: Path, *names: str) -> None:
    """Make packages importable without running their `__init__`, which would want the whole training stack."""
    for name in names:
        package = types.ModuleType(name)
        package.__path__ = [str(checkout / name.replace(".", "/"))]
        sys.modules[name] = package


def official_network(checkout: Path, keys: str, network: str):
    """Build PaddleClas' network."""
    if keys == "plain":
        bare_packages(checkout, "ppcls", "ppcls.modeling", "ppcls.modeling.architectures")
        module = importlib.import_module(f"ppcls.modeling.architectures.{PLAIN[network]}")
    else:
        parts = ("ppcls", "ppcls.utils", "ppcls.arch", "ppcls.arch.backbone")
        backbone = parts[-1]
        bare_packages(checkout, *parts, f"{backbone}.legendary_models", f"{backbone}.model_zoo")
        importlib.import_module("ppcls.utils.logger").init_logger()
        module = importlib.import_module(f"{backbone}.{(LEGENDARY | UNCHANGED)[network]}")
    return getattr(module, network)()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--revision", required=True, help="the checkout's commit")
    parser.add_argument("--keys", choices=("legendary", "plain"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, default=(72, 88), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--networks", nargs="+", default=[], metavar="NETWORK", help="all by default")
    arguments = parser.parse_args()
    every = [name for name in PLAIN if name not in UNCHANGED] if arguments.keys == "plain" else LEGENDARY | UNCHANGED
    networks = arguments.networks or list(every)
    if len(networks) == 1:
        write_reference(networks[0], arguments)
    else:  # parameters' names are global in Paddle: one process a network
        for network in networks:
            subprocess.run([sys.executable, *sys.argv, "--networks", network], check=True)


def write_reference(network: str, arguments: argparse.Namespace) -> None:
    """Run one network and write its file."""
    import paddle

    model = official_network(arguments.checkout, arguments.keys, network)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    fixed = {name: fixed_tensor(name, shape, GAIN[network], arguments.seed) for name, shape in shapes.items()}
    weights = {name: paddle.to_tensor(value) for name, value in fixed.items()}
    model.set_state_dict(weights)
    for name, tensor in model.state_dict().items():
        if not np.array_equal(tensor.numpy(), weights[name].numpy()):
            raise SystemExit(f"{network}: {name} was not set")
    model.eval()
    images = fixed_images(2, *arguments.size, arguments.seed)
    with paddle.no_grad():
        logits = model(paddle.to_tensor(images)).numpy()
        model.to(dtype="float64")
        exact_logits = model(paddle.to_tensor(images[:1].astype(np.float64))).numpy()
    assert exact_logits.dtype == np.float64
    arguments.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        arguments.out / f"{network}-{'plain' if network in UNCHANGED else arguments.keys}.npz",
        names=np.array(list(shapes)),
        shapes=np.array([[*shape, *[0] * (4 - len(shape))] for shape in shapes.values()], dtype=np.int32),
        logits=logits,
        exact_logits=exact_logits,
        size=np.array(arguments.size),
        seed=np.array(arguments.seed),
        source=np.array(f"PaddleClas {arguments.revision}, paddlepaddle {paddle.__version__}"),
    )
    rounding = abs(exact_logits - logits[:1]).max()
    spread, between = logits.std(), abs(logits[0] - logits[1]).max()
    print(f"{network} {arguments.keys}: {len(shapes)} tensors, logits' std {spread:.3g}, rounding {rounding:.1e}")
    print(f"    the two images' logits lie {between:.3g} apart")


if __name__ == "__main__":
    main()
