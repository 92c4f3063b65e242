"""How often the demo's distilled student wins: one demo a seed, and a table of what each measured.

    python benchmarks/demo.py --seeds 10 --out FOLDER

Called again it goes on where it was. docs/demo.md shows the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kdzoo.demo import run_demo
from kdzoo.engine.metrics.intervals import mean_interval


def main() -> None:
    """Run the demos and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0 to N - 1 (default: 10)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the demos")
    given = parser.parse_args()
    rows, gains = [], []
    for seed in range(given.seeds):
        result = run_demo(given.out / f"seed-{seed}", seed=seed)
        gain, top1 = result.gain, {model.role: model.top1 for model in result.models}
        gains.append(gain.mean)
        low, high = gain.interval or (float("nan"), float("nan"))
        numbers = f"{top1['baseline']:.2f} | {top1['student']:.2f} | {gain.mean:+.2f} | {low:+.2f} to {high:+.2f}"
        rows.append(f"| {seed} | {top1['ensemble']:.2f} | {numbers} | {gain.wins} of {len(gain.draws)} |")
        print(rows[-1], flush=True)
    print("\n| seed | ensemble | on 70 labels | distilled | gain | 95 % interval | draws won |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    pooled = mean_interval(gains)
    if pooled is not None:
        print(f"\nwins {sum(gain > 0 for gain in gains)} of {len(gains)}; mean gain {pooled[0]:+.2f} points, ", end="")
        print(f"95 % interval over the seeds {pooled[1]:+.2f} to {pooled[2]:+.2f}")


if __name__ == "__main__":
    main()
