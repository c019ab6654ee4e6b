"""Files that are whole or not there, whatever happens while they are written."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file in such a way that whoever reads the path gets what was there or all that is new.

    Parameters
    ----------
    path : Path
        Where it goes, in a folder that is there.
    content : bytes
        All of it.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written. What lay at ``path`` still does.
    """
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else the new name could reach the disk before what it names
        os.replace(aside, path)
    except BaseException as problem:
        with suppress(OSError):  # it may not be there, nor its folder
            aside.unlink()
        if isinstance(problem, OSError):
            problem.filename = str(path)  # a full disk names none
        raise
    if os.name == "posix":  # the folder holds the name; Windows opens no folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
