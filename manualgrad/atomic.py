"""Write files atomically."""

import os
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads the path gets all of the old content or all of the new.

    If the disk is full or the folder cannot be written, the OSError names the file and the old content
    is still there.
    """
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else the new name could reach the disk before its content
        os.replace(aside, path)
    except BaseException as error:
        with suppress(OSError):  # it may not be there, nor its folder
            aside.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)  # a full disk names none
        raise
    if os.name == "posix":  # the folder holds the name; Windows opens no folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
