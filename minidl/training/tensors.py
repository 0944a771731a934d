"""Named arrays on disk: safetensors files, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minidl.errors import CheckpointError
from minidl.graph import Spec


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Write ``arrays`` to ``path`` and return the SHA-256 of the file."""
    from safetensors.numpy import save

    data = save({name: np.asarray(array, order="C") for name, array in sorted(arrays.items())})
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def read(path: Path, digest: str | None = None) -> dict[str, np.ndarray]:
    """Read the arrays in ``path``.

    Raises
    ------
    CheckpointError
        If the file is missing, not a safetensors file, or does not have the SHA-256 ``digest``.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointError(
            f"{path} is damaged: its checksum is not the one that was written with it; "
            f"use another checkpoint"
        )
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}") from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}") from None


def check_match(arrays: Mapping[str, np.ndarray], specs: Mapping[str, Spec], source: str) -> None:
    """Raise CheckpointError, listing every difference, unless ``arrays`` are of ``specs``."""
    problems = [f"  {name}: missing" for name in specs if name not in arrays]
    problems += [f"  {name}: not in this model" for name in arrays if name not in specs]
    for name, spec in specs.items():
        if name in arrays and (arrays[name].shape, arrays[name].dtype.name) != spec:
            held = Spec(arrays[name].shape, arrays[name].dtype.name)
            problems.append(f"  {name}: {held} there, {spec} in this model")
    if problems:
        raise CheckpointError(
            f"{source} is of another architecture:\n" + "\n".join(sorted(problems))
        )
