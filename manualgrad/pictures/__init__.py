"""Pictures of networks, drawn from plain arrays.

Nothing here knows of PyTorch. A picture is a function from keyword arguments to a ``Canvas``; ``DRAWINGS``
names them all.
"""

from manualgrad.pictures.artist import draw

__all__ = ["draw"]
