"""Optimisers written out in NumPy, one parameter at a time, as their papers have them."""

import numpy as np


def sgd(p, gradients, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):
    """Return the parameter after each of the steps."""
    velocity, path = None, []
    for g in gradients:
        g = g + weight_decay * p
        if momentum:
            velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
            g = g + momentum * velocity if nesterov else velocity
        p = p - lr * g
        path.append(p)
    return path


def adam(p, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    """Return the parameter after each of the steps."""
    beta1, beta2 = betas
    m, v, path = np.zeros_like(p), np.zeros_like(p), []
    for t, g in enumerate(gradients, start=1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        path.append(p)
    return path


def adamw(p, gradients, lr, weight_decay=0.01, **fields):
    """Return the parameter after each of the steps."""
    return adam(p, gradients, lr, weight_decay=weight_decay, decoupled=True, **fields)
