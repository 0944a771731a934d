"""A Kolmogorov–Arnold layer for minidl: receives tensors, returns sums of learnt functions.

Installing the package is enough: minidl finds the op ``bspline_basis`` and the layer ``kan``
through its entry points.
"""
