import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def data_folder():
    """The folder of real datasets."""
    folder = os.environ.get("MINIDL_DATA")
    if not folder:
        pytest.skip("needs the datasets under MINIDL_DATA, which is not set")
    return Path(folder)


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    """No dataset anywhere: an empty user's folder and no MINIDL_DATA."""
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    home = tmp_path / "home"
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *a, **k: str(home / "minidl"))
    return home / "minidl"


@pytest.fixture
def write_idx(tmp_path):
    """Write an IDX file of bytes, with its header as given; returns its path."""

    def write(name, shape, payload=None, magic=None, keep=None):
        size = int(np.prod(shape))
        data = struct.pack(">I", magic if magic is not None else 0x800 + len(shape))
        data += struct.pack(f">{len(shape)}I", *shape)
        data += np.asarray(np.arange(size) if payload is None else payload).astype("u1").tobytes()
        data = gzip.compress(data, 1) if name.endswith(".gz") else data
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[:keep])
        return path

    return write
