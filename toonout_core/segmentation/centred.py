"""Characters by their centres: the head of the built-in model says who is who in its matte."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput
from ..instances import Instances
from ..matting import Matting
from ..models.lite_unet import LiteUNet
from ..models.lite_unet.characters import Centres
from .asking import SegmentOptions
from .grouping import Certainty, Groups, group
from .refining import Refiner
from .regional import RegionSegmenter
from .sharing import share_matte

ORIGIN = "centres in the matte"

_WORKING_PX = 1024  # longest side of the plane that is given out
