"""Write files atomically."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads the path gets all of the old content or all of the new."""
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else the new name could reach the disk before its content
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)  # what a full disk left of it
