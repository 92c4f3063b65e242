"""Secrets taken out of what is saved, and nothing else."""

from __future__ import annotations

import pytest

from kdzoo.redact import redact, redact_arguments

HEX40 = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--token=hf_abcdefghijkl", "--token=***"),
        ("hf_AbCdEfGhIjKl", "***"),
        ("see hf_AbCdEfGhIjKl there", "see *** there"),
        (f"WANDB_API_KEY={HEX40}", "WANDB_API_KEY=***"),
        (HEX40, "***"),
        ("wandb_v1_abcdefgh12345", "***"),
        ("https://me:secret@host/x", "https://***@host/x"),
        ("https://token@host/x", "https://***@host/x"),
        ("https://host/x?api_key=abc&size=3", "https://host/x?api_key=***&size=3"),
        ("https://host/x?X-Amz-Signature=abc&b=1", "https://host/x?X-Amz-Signature=***&b=1"),
        ("password: hunter2", "password: ***"),
        ("Authorization: Bearer abcdefghij", "Authorization: Bearer ***"),
        ("ghp_0123456789abcdefghij", "***"),
        ("AKIA0123456789ABCDEF", "***"),
    ],
)
def test_secrets_go(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "resnet50.a1_in1k",
        f"hf-hub:timm/resnet50.a1_in1k@{HEX40}",
        "--set",
        "optimizer.lr=0.02",
        "imagenet:/data/imagenet",
        "user@host",
        "/home/me/hf_models/x",
        "--tokenizer",
        "seed=3",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert redact(text) == text


def test_the_value_behind_a_secret_option_goes() -> None:
    line = ["kdzoo", "publish", "--token", "plain", "--seed", "3", "--api-key", "k", "--out", "runs/a"]
    assert redact_arguments(line) == [
        "kdzoo", "publish", "--token", "***", "--seed", "3", "--api-key", "***", "--out", "runs/a",
    ]  # fmt: skip
