import resource

import pytest
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from manualgrad.training.event_file import PATTERN, EventFile


def read(folder):
    """Read all files as TensorBoard does, which checks their sums."""
    records = [list(RawEventFileLoader(str(path)).Load()) for path in sorted(folder.glob(PATTERN))]
    return [[Event.FromString(record) for record in of_file] for of_file in records]


def point(value):
    return Summary(value=[Summary.Value(tag="loss", simple_value=value)])


def test_tensorboard_reads_what_was_written_at_once(tmp_path):
    events = EventFile(tmp_path)
    events.add_summary(point(0.5), step=7)
    ((first, second),) = read(tmp_path)
    assert first.file_version == "brain.Event:2"
    assert (second.step, second.summary.value[0].simple_value) == (7, 0.5)
    assert second.wall_time >= first.wall_time > 1.7e9
    events.close()


def test_files_of_one_second_are_different_ones(tmp_path):
    for value in (1.0, 2.0):
        events = EventFile(tmp_path)
        events.add_summary(point(value))
        events.close()
    values = [of_file[1].summary.value[0].simple_value for of_file in read(tmp_path)]
    assert sorted(values) == [1.0, 2.0]


def test_a_full_disk_is_told_by_the_event_that_meets_it(tmp_path):
    events = EventFile(tmp_path)
    limit, hardest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hardest))
    try:
        text = Summary(value=[Summary.Value(tag="x" * 2000, simple_value=0)])
        with pytest.raises(OSError, match="too large"):
            events.add_summary(text)
        with pytest.raises(OSError, match="too large"):  # what it had not written
            events.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hardest))
    events.close()
