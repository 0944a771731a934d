"""Near misses: receives a name and those that exist, returns the one that was probably meant.

What is written in another case or style (``ReLU``, ``nn.BatchNorm2d``), called otherwise in other
frameworks, shortened to its initials or to one of its words, or mistyped, is recognised.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

ALSO_CALLED = {
    # layers
    "linear": "dense fully_connected fc",
    "batch_norm": "batch_normalization batch_norm1d batch_norm2d batch_norm3d bn",
    "layer_norm": "layer_normalization",
    "group_norm": "group_normalization",
    "concat": "cat concatenate",
    "reshape": "view",
    "pad": "zero_padding zero_padding2d",
    "silu": "swish",
    "max_pool2d": "max_pooling2d max_pool",
    "avg_pool2d": "average_pooling2d avg_pool",
    "global_avg_pool": "global_average_pooling global_average_pooling2d global_avg_pool2d gap",
    "global_max_pool": "global_max_pooling global_max_pooling2d global_max_pool2d",
    "conv2d": "conv convolution convolution2d",
    "conv_transpose2d": "conv2d_transpose transposed_conv2d deconv deconvolution",
    "multi_head_attention": "self_attention attention",
    "transformer_block": "transformer transformer_encoder_layer transformer_encoder encoder_layer",
    "transformer_decoder_block": "transformer_decoder_layer transformer_decoder decoder_layer",
    "positional_embedding": "position_embedding",
    "sinusoidal_embedding": "positional_encoding sinusoidal_encoding",
    # initializers
    "glorot_uniform": "xavier_uniform xavier",
    "glorot_normal": "xavier_normal",
    "kaiming_uniform": "he_uniform",
    "kaiming_normal": "he_normal he",
    "truncated_normal": "trunc_normal",
    # losses and metrics
    "cross_entropy": "categorical_crossentropy sparse_categorical_crossentropy ce",
    "binary_cross_entropy": "binary_crossentropy bce bce_with_logits",
    "mse": "l2 mean_squared_error",
    "mae": "l1 mean_absolute_error",
    "rmse": "root_mean_squared_error",
    "nll": "negative_log_likelihood",
    "kl_div": "kl kl_divergence kullback_leibler",
    "accuracy": "acc categorical_accuracy sparse_categorical_accuracy binary_accuracy",
    "top_k_accuracy": "top_k top5",
    "auc": "roc_auc auroc",
    "f1": "f1_score f_score",
    "r2": "r2_score r_squared",
    "label_error_rate": "cer wer edit_distance",
    # optimizers and schedules
    "sgd": "gradient_descent gd",
    "cosine": "cosine_annealing cosine_annealing_lr cosine_decay",
    "cosine_restarts": "cosine_annealing_warm_restarts cosine_decay_restarts",
    "exponential": "exponential_decay",
    "multistep": "piecewise_constant_decay",
    "one_cycle": "one_cycle_lr",
    "reduce_on_plateau": "reduce_lr_on_plateau plateau",
    # datasets and transforms
    "csv": "table tabular",
    "image_folder": "images folder imagefolder",
    "horizontal_flip": "random_horizontal_flip flip",
    "cutout": "random_erasing",
    # fields
    "units": "out_features num_units hidden_units output_dim output_size out_channels hidden_size",
    "out_channels": "filters num_filters channels units out_features",
    "hidden_size": "units hidden_units hidden_dim num_units out_features",
    "embedding_dim": "units output_dim dim d_model features",
    "num_embeddings": "vocab_size vocabulary_size input_dim",
    "kernel_size": "kernel filter_size pool_size window",
    "stride": "strides",
    "padding": "pad",
    "dilation": "dilation_rate",
    "bias": "use_bias",
    "init": "kernel_initializer weight_init initializer",
    "bias_init": "bias_initializer",
    "axis": "dim",
    "eps": "epsilon",
    "p": "rate prob probability dropout dropout_rate drop_prob",
    "negative_slope": "alpha slope",
    "num_heads": "heads n_heads nhead",
    "max_length": "max_len seq_len sequence_length block_size",
    "lr": "learning_rate eta",
    "betas": "beta beta1 beta_1",
    "weight_decay": "decay wd l2 l2_penalty",
    "every": "step_size",
    "gamma": "factor decay_rate",
    "min_factor": "eta_min min_lr",
    "warmup_steps": "warmup num_warmup_steps",
    "epochs": "num_epochs n_epochs max_epochs",
    "clip_norm": "grad_clip gradient_clip max_grad_norm max_norm clipnorm",
    "clip_value": "clipvalue",
    "accumulate": "gradient_accumulation_steps accumulation_steps grad_accum",
    "batch_size": "bs batch",
    "validation": "val_split validation_split val_fraction valid val",
    "delimiter": "sep separator",
    "target": "label labels y target_column label_column",
    "path": "file filename file_path data_path",
    "context": "block_size seq_len sequence_length",
}
"""Names of minidl, with what people who know other frameworks write for them."""

INFERRED = "in_features in_channels input_size input_dim input_shape num_features in_dim"
"""What other frameworks ask for, and minidl sees from the data."""

_SUFFIXES = ("loss", "layer", "dataset", "lr")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of ``known`` that ``name`` was probably meant to be, or None."""
    names = list(known)
    return same(name, names) or _by_words(name, names) or _by_letters(name, names)


def same(name: str, known: Iterable[str]) -> str | None:
    """Return the one of ``known`` that ``name`` is but for its spelling or by another name."""
    wanted = _bare(name.rpartition(".")[2])
    short = next((wanted.removesuffix(s) for s in _SUFFIXES if wanted.endswith(s)), wanted)
    names = list(known)
    for spelling in filter(None, (wanted, short)):
        for other in names:
            if spelling == _bare(other):
                return other
        for other in names:
            if spelling in map(_bare, ALSO_CALLED.get(other, "").split()):
                return other
    return None


def is_inferred(name: str) -> bool:
    """Whether ``name`` is a size of an input, as other frameworks call it."""
    return name in INFERRED.split()


def _by_words(name: str, names: list[str]) -> str | None:
    """Return the shortest name that begins with ``name``, or has its words or its initials."""
    lower, words = name.lower(), set(_words(name))
    fitting = [
        other
        for other in names
        if (len(name) > 2 and other.lower().startswith(lower))
        or (len(name) > 1 and lower == "".join(word[0] for word in _words(other)))
        or (max(map(len, words), default=0) > 3 and words <= set(_words(other)))
    ]
    return min(fitting, key=len, default=None)


def _by_letters(name: str, names: list[str]) -> str | None:
    lower = {other.lower(): other for other in names if abs(len(other) - len(name)) < 3}
    cutoff = 0.65 if len(name) < 5 else 0.7
    matches = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=cutoff)
    return lower[matches[0]] if matches else None


def _words(name: str) -> list[str]:
    """Return the words of ``snake_case`` or ``CamelCase``, in lower case."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+", name)
    return [part.lower() for part in parts]


def _bare(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return re.sub(r"[\W_]", "", name).lower()
