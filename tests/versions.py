"""What older versions of PyTorch cannot do themselves. A line goes when the floor reaches its version."""

import torch

MSE_LOSS_MIXES_NO_DTYPES = torch.__version__ < (2, 13)
COMPILE_TAKES_NO_GRAD_OF_A_FUNCTION = torch.__version__ < (2, 11)  # torch.func.grad of any Function, inside
