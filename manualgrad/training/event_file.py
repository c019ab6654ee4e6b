"""TensorBoard's event file, written event by event.

TensorBoard's own writer hands each event to a thread, which opens and closes the file for it, and takes twice
as long. Here nothing is lost when a run is killed, and a full disk is told where it is met.
"""

import itertools
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

PATTERN = "events.out.tfevents.*"  # by which TensorBoard knows its files
_numbers = itertools.count()  # of the files that this process writes


class EventFile:
    """A new event file.

    Parameters
    ----------
    folder : Path
        Where it goes.

    Raises
    ------
    OSError
        If it cannot be written, as every method does.
    """

    def __init__(self, folder: Path) -> None:
        # Imported here, because `--help` should not wait for it.
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        # TensorBoard reads a run's files in the order of their names.
        name = f"{time.time():010.0f}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._file = (folder / PATTERN.replace("*", name)).open("xb")
        self._records = RecordWriter(self._file)
        self._new_event = Event
        self.add_event(Event(file_version="brain.Event:2"))

    def add_summary(self, summary: "Summary", step: int = 0) -> None:
        """Write what is shown of one step, as TensorFlow's ``Summary`` message has it."""
        self.add_event(self._new_event(summary=summary, step=step))

    def add_event(self, event: "Event") -> None:
        """Write an event; when it happened is added."""
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
