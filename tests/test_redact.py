"""Secrets taken out of what is saved, and nothing else."""

from __future__ import annotations

import pytest

from kdzoo.base.redact import redact, redact_arguments

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
        ('{"token": "abc def", "seed": 3}', '{"token": "***", "seed": 3}'),
        ('{"hub":{"accessToken":"a\\\\b\\u00e9c"},"n":1}', '{"hub":{"accessToken":"***"},"n":1}'),
        (r'log: "{\"api_key\": \"abc\", \"n\": 1}"', r'log: "{\"api_key\": \"***\", \"n\": 1}"'),
        ("{'password': 'a b'}", "{'password': '***'}"),
        ('password="a b c" seed=3', 'password="***" seed=3'),
        ("auth=abcdef", "auth=***"),
        ("--wandb-key=abc", "--wandb-key=***"),
        ("wandb_key: abc", "wandb_key: ***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbU", "***"),
        ("see xoxb-123456789012-abcdefGHIJ", "see ***"),
        ("xoxe.xoxp-1-Mi0yLTE2MDA5NTM", "***"),
        ("AIzaSyA-1234567890abcdefghijklmnopqrstu", "***"),
        ("ya29.a0AfH6SMBx-abc_def", "***"),
        ("sk-proj-abcdefghijkl_mnop-1234", "***"),
        ("sk-ant-api03-abcdefghijklmnop", "***"),
        ("glpat-abcdefghij0123456789", "***"),
        ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "***"),
        ("pypi-AgEIcHlwaS5vcmcCJGFiY2RlZg", "***"),
        ("sk_live_abcdefghijklmnop", "***"),
        ("rk_test_abcdefghijklmnop", "***"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = ***"),
        ('"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG"', '"SecretAccessKey": "***"'),
        (
            "https://h.blob.core.windows.net/c?sv=2022&sig=a%2Fb%3D&se=1",
            "https://h.blob.core.windows.net/c?sv=2022&sig=***&se=1",
        ),
        ("AccountName=a;AccountKey=abc==;EndpointSuffix=b", "AccountName=a;AccountKey=***;EndpointSuffix=b"),
        ("https://user:p@ss@host/x@main", "https://***@host/x@main"),
        ("postgres://u:p@@q@db:5432/x", "postgres://***@db:5432/x"),
        ("Authorization: token abcdef", "Authorization: token ***"),
        ('"authorization": "abcdef"', '"authorization": "***"'),
        ("curl: basic dXNlcjpwYXNzd29yZA==", "curl: basic ***"),
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
        f"revision {HEX40}",
        f'"revision": "{HEX40}"',
        f"models--a--b/snapshots/{HEX40}/config.json",
        f"sha256:{HEX40}{HEX40[:24]}",
        f"{HEX40}{HEX40[:24]}",
        "--tokenizer=bert",
        "num_tokens: 512",
        '{"max_tokens": 77, "author": "me", "key": "optimizer.lr"}',
        "teachers.key=resnet50",
        "keyboard: none",
        "a basic transformation",
        "the bearer of bad news",
        "https://host/a@b.c?size=3",
        '{"a":"https://host","b":"me@host"}',
        "/data/secrets/photos",
        "pypi-publishing-workflow",
        "sk-learn",
        "eyJ.png",
        "npm_config",
        "s3://bucket/path",
        "data.dataset=imagenet:/data/token/imagenet",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert redact(text) == text


def test_the_value_behind_further_options_goes() -> None:
    line = [
        "kdzoo",
        "train",
        "--auth",
        "abc",
        "--wandb-key",
        "k",
        "--client-secret",
        "s",
        "--author",
        "me",
        "--revision",
    ]
    assert redact_arguments([*line, HEX40, "--x", HEX40]) == [
        "kdzoo", "train", "--auth", "***", "--wandb-key", "***", "--client-secret", "***", "--author", "me",
        "--revision", HEX40, "--x", "***",
    ]  # fmt: skip


def test_the_value_behind_a_secret_option_goes() -> None:
    line = ["kdzoo", "publish", "--token", "plain", "--seed", "3", "--api-key", "k", "--out", "runs/a"]
    assert redact_arguments(line) == [
        "kdzoo", "publish", "--token", "***", "--seed", "3", "--api-key", "***", "--out", "runs/a",
    ]  # fmt: skip
