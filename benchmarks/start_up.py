"""What `kdzoo train` needs before its first step, beside a plain script that starts as timm's train.py does.

    OMP_NUM_THREADS=1 python benchmarks/start_up.py FOLDER [--rounds 5]     # FOLDER has train/ and val/ class folders

Processor time of fresh processes, in turns, from their start to the end of the first step's forward and backward pass:
ResNet-18 with random weights, 128 px, batch 32, no loader processes. The script imports what train.py imports, and
makes its model, loaders, optimiser and schedule with the same functions of timm; it writes nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

KDZOO = """
import os, sys, time
from kdzoo.cli.main import main

def after_first_step():
    from kdzoo.engine import driver
    take = driver._Run._step
    def first(self, batches, progress):
        take(self, batches, progress)
        print(time.process_time(), flush=True)
        os._exit(0)
    driver._Run._step = first

from kdzoo.runs import PlannedRun
start = PlannedRun.start
def patched(planned):
    after_first_step()
    return start(planned)
PlannedRun.start = patched
options = "--epochs 1 --image-size 128 --batch-size 32 --workers 0 --device cpu".split()
main(["train", "--model", "resnet18", "--data", sys.argv[1], *options, "--out", sys.argv[2]])
"""

PLAIN = """
import argparse, importlib, json, logging, os, sys, time
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime
from functools import partial
import torch, torch.nn as nn, torchvision.utils, yaml
from torch.nn.parallel import DistributedDataParallel
from timm import utils
from timm.data import create_dataset, create_loader, resolve_data_config, Mixup, FastCollateMixup, AugMixDataset
from timm.layers import convert_splitbn_model, convert_sync_batchnorm, set_fast_norm
from timm.loss import JsdCrossEntropy, SoftTargetCrossEntropy, BinaryCrossEntropy, LabelSmoothingCrossEntropy
from timm.models import create_model, safe_model_name, resume_checkpoint, load_checkpoint, model_parameters
from timm.optim import create_optimizer_v2, optimizer_kwargs
from timm.scheduler import create_scheduler_v2, scheduler_kwargs
from timm.utils import ApexScaler, NativeScaler

utils.random_seed(0, 0)
model = create_model("resnet18", pretrained=False, num_classes=10).to(memory_format=torch.channels_last)
config = resolve_data_config({"input_size": (3, 128, 128)}, model=model, verbose=False)
options = dict(input_size=config["input_size"], batch_size=32, mean=config["mean"], std=config["std"], num_workers=0,
               use_prefetcher=False, device=torch.device("cpu"))
sets = [create_dataset("", root=sys.argv[1], split=split, is_training=split == "train") for split in ("train", "val")]
train, val = (create_loader(each, is_training=number == 0, **options) for number, each in enumerate(sets))
optimizer = create_optimizer_v2(model, opt="sgd", lr=0.1, momentum=0.9, weight_decay=1e-4)
scheduler, _ = create_scheduler_v2(optimizer, sched="cosine", num_epochs=1, updates_per_epoch=len(train))
model.train()
for images, labels in train:
    loss = nn.functional.cross_entropy(model(images.to(memory_format=torch.channels_last)), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()
    print(time.process_time(), flush=True)
    os._exit(0)
"""


def seconds(program: str, *arguments: str) -> float:
    """The last thing that one process says, wherever it says it: kdzoo sends prints to stderr while it works."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(done.stdout)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Print a line a round, then the median and the spread of the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    data = os.path.abspath(args.folder)
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(args.rounds):
            plain.append(seconds(PLAIN, data))
            ours.append(seconds(KDZOO, data, os.path.join(folder, str(index))))
            print(f"round {index}: kdzoo {ours[-1]:.2f} s, as train.py starts {plain[-1]:.2f} s", flush=True)
    ratios = [one / other for one, other in zip(ours, plain, strict=True)]
    print(
        f"median {statistics.median(ours):.2f} and {statistics.median(plain):.2f} s, ratio "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
