"""What a config.json that others wrote may say about the network: names, types and ranges. Everything else is refused.

The names are arguments of the networks themselves (timm's and kdzoo's). Those of timm's factory around them are not
here: they load files, loosen the check of the weights, or make something else than a classifier (``pretrained_strict``,
``features_only``, ``out_indices``, ``checkpoint_path``, …).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..base.errors import ModelError
from .preprocessing import MAX_IMAGE_SIZE

MAX_CLASSES = 200_000
"""timm's largest classifier has 115,217 outputs."""

_AGAIN = "use a model from a source that you know; an argument at its default can be taken out of the file"
_MAX_WIDTH = 2**16
_MAX_LAYERS = 128
_NAME = re.compile(r"[\w.-]{0,64}", re.ASCII)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    """A check for whole numbers of a range."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) <= 1e5


def _name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _flag_or_number(value: Any) -> bool:
    return _flag(value) or _number(value)


_KINDS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    (
        "true or false",
        _flag,
        """
        aa_stem_only abs_win_pos_embed activated_identity always_partition attn attn_mlp attn_only_layer_scale
        avg_down binary_shortcut bn_tf channel_attention channel_attn_v2 class_token conv_bias conv_init conv_mlp
        cpe_act crop_scale distillation distilled dynamic_img_pad dynamic_img_size embed_norm extra_norm_stage fc_norm
        ffn final_norm fix_init fix_stem fused_conv fused_downsample head_bias head_norm head_norm_first
        inference_mode input_3x3 legacy lkc_use_act mlp_bias multi_conv named_blocks nlhb no_embed_class
        normalize_modulator output_norm patch_norm pool_include_prefix pre_norm preact proj_bias qk_norm qkv_bias
        qkv_fused reparam replace_stem_pool rope_rotate_half scale_attn_inner scale_attn_norm scale_mlp scale_mlp_norm
        se_from_exp sep_pos_embed sequential_attn shared_rel_pos small small_kernels standardize stem_bias
        stem_mid_norm stem_norm stem_use_scale_branch strict_img_size swiglu_mlp tokens_norm use_abs_pos
        use_abs_pos_emb use_clipped_linears use_conv use_expand_proj use_fc_norm use_grn use_lab use_layer_scale
        use_mlp_head use_overlap_down use_pos_embed use_post_norm use_post_norm_in_modulation
        use_post_transformer_norm use_pre_transformer_norm use_rel_pos use_rel_pos_bias use_rope use_rot_pos_emb
        use_shared_rel_pos_bias v2 vit_stem zero_init_last
        """,
    ),
    (
        f"whole numbers from 0 to {_MAX_LAYERS}",
        _whole(0, _MAX_LAYERS),
        """
        block_config cls_attn_layers depth depth_token_only depths extra_norm_period layers num_blocks num_blocks_list
        num_levels num_reg_tokens num_vit parallel_depth reg_tokens serial_depths stages transformer_depths
        """,
    ),
    (
        f"whole numbers up to {_MAX_WIDTH}",
        _whole(-1, _MAX_WIDTH),
        """
        attn_groups attn_pool_num_heads base_dim base_dims base_width block_reduce_first bn_size cardinality ch_div
        channels dim dims down_kernel_size down_pad down_patch_size down_stride downsample_kernel_size embed_dim
        embed_dims expand_groups feature_dim final_chs first_stride focal_levels focal_windows global_att_blocks
        global_attn_indexes global_block_counts global_pos_size group groups growth_rate growth_rates head_dim
        head_hidden_size head_pose_dim head_widths heads hidden_size hidden_sizes initial_chs inner_dim inplanes
        intermediate_size kernel_size kernel_sizes kernels key_dim local_conv_size mask_unit_size merge_size
        neck_chans num_features num_heads num_heads_inner num_heads_outer num_init_features num_kv_heads out_features
        output_stride partial_dim patch_kernel patch_padding patch_size patch_sizes patch_stride pool_size
        pos_embed_grid_size pretrained_window_sizes q_pool q_stride qk_dim ref_feat_shape rel_pos_dim
        repmixer_kernel_size sr_ratios state_dim stem_chs stem_hidden_dim stem_kernel_size stem_size stem_width stride
        strides swiglu_align_to width widths window_size window_sizes window_spec
        """,
    ),
    (f"pixels, from 1 to {MAX_IMAGE_SIZE}", _whole(1, MAX_IMAGE_SIZE), "img_size image_size"),
    (
        "from 0 to below 1",
        _share,
        """
        attn_drop_rate block_drop_rate drop drop_block_rate drop_path_rate drop_rate dropout patch_drop_rate
        pos_drop_rate proj_drop_rate
        """,
    ),
    (
        "finite numbers up to 1e5",
        _flag_or_number,
        """
        alpha attn_mlp_ratio attn_pool_mlp_ratio attn_ratio bn_eps bn_momentum bottle_ratio bottleneck_width_ratio
        channel_multiplier cls_ratio conv_ratio deepen_factor depth_mult dim_mul downsample_expand_ratios
        downsample_ratio downsamples eta expand_ratio expansion_ratio ffn_ratio head_init_scale head_mul img_scale
        init_values layer_scale layer_scale_init_value layer_scale_init_values layerscale_value locality_strength
        ls_init_value mask_unit_attn mbconv_expand_ratio mix_block_ratio mlp_ratio mlp_ratio_token_only mlp_ratios
        n_div norm_eps outlook_attention pooling_scale res_scale_init_values rope_grid_offset rope_temperature
        rope_theta scale se_downsamples se_ratio shortcut_root stem_expand_ratio transition_compression_ratio
        widen_factor width_factor width_mult window_ratio
        """,
    ),
    (
        "names",
        _name,
        """
        aa_layer act_layer attn_act_layer attn_layer attn_stage attn_type attn_types attn_upsample downsample
        downsample_norm dw_act_layer embed_norm_layer fc_act_layer global_pool head_fn local_mbconv_norm mlp_layer
        norm_layer norm_layer_cl pad_type pconv_fw_type pool_type pos_embed post_layers rel_pos_type
        rope_grid_indexing rope_type se_layer shortcut spatial_conv stem_pool stem_type token_mixers types version
        weight_init
        """,
    ),
)
ALLOWED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    name: (meaning, check) for meaning, check, names in _KINDS for name in names.split()
}
"""By the argument's name: its range in words, and whether one value lies in it."""


def checked_arguments(arguments: Any, path: Path) -> dict[str, Any]:
    """A config.json's ``model_args`` as they may reach a network.

    The class count and the channels, which timm's users write there too, are read elsewhere and left out.

    Raises:
        ModelError: An argument is not one that a published model may set, or its value is out of range.
    """
    if not isinstance(arguments, Mapping):
        raise ModelError(f"{path} has model_args that are not an object", hint="get the folder again")
    checked = {}
    for name, value in arguments.items():
        if name in ("num_classes", "in_chans"):
            continue
        if name not in ALLOWED:
            raise ModelError(
                f"{path} sets {str(name)[:60]!a}, which is no argument of an architecture that a model's file may set",
                hint=_AGAIN,
            )
        meaning, fits = ALLOWED[name]
        if not _all(value, fits):
            shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}…"
            raise ModelError(f"{path} sets {name!r} to {shown!a}: it takes {meaning}", hint=_AGAIN)
        checked[name] = value
    return checked


def _all(value: Any, fits: Callable[[Any], bool], depth: int = 0) -> bool:
    """Whether a value, or every one in a short list (of lists), lies in the range; None is an architecture's own."""
    if isinstance(value, list | tuple):
        return depth < 2 and len(value) <= 64 and all(_all(item, fits, depth + 1) for item in value)
    return value is None or fits(value)
