"""Types of the fields that several optimisers have."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Ge, Gt, Lt

LearningRate = Annotated[float, Ge(0), Lt(math.inf)]
Share = Annotated[float, Ge(0), Lt(1)]
NotNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
