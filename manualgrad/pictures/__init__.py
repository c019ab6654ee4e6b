"""Pictures of networks, drawn by matplotlib from plain arrays in a process of their own.

Nothing here knows of PyTorch, so that this process starts in half a second. A picture is a function from
keyword arguments to a figure; ``DRAWINGS`` names them all. ``Artist`` has them drawn while training goes on.
"""

from manualgrad.pictures.artist import Artist

__all__ = ["Artist"]
