"""Data: receives a dataset's declared fields, returns its parts, and from them batches.

One file a dataset. Arrays stay on the host, in the dtype they were stored in (images as uint8),
until a batch of them is used.
"""

from minidl.data.base import Dataset, Part, Splits, dataset

__all__ = ["Dataset", "Part", "Splits", "dataset"]
