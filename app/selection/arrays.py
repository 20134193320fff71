"""The array types of this room."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Float64Array = NDArray[np.float64]
FloatArray = NDArray[np.float32] | NDArray[np.float64]
