"""What a student may hand in: stubs, stubs with lines written in them, and solved files."""

from manualgrad.exercises.course import find
from manualgrad.exercises.stub import write_stub

PLACE = "raise NotImplementedError  # replace this line by yours"


def stub(exercise):
    """The file as `start` writes it."""
    return write_stub(find(exercise) if isinstance(exercise, str) else exercise, "exercises", "")


def attempt(exercise, *lines):
    """The stub with lines in the one place to write."""
    text = stub(exercise)
    assert text.count(PLACE) == 1
    return text.replace(PLACE, "\n        ".join(lines))


def solved(exercise):
    """A file that takes our solution, without repeating it."""
    if exercise.kind != "function":
        return exercise.lesson.body()
    parent = f"F.{exercise.lesson.class_name}" if exercise.is_library_function else "Given"
    return stub(exercise) + f"\n    backward = staticmethod({parent}.backward)\n"


def written(exercise, **values):
    """The network's stub with some of its lines written."""
    text = stub(exercise)
    for name, value in values.items():
        assert f"    {name} = ..." in text
        text = text.replace(f"    {name} = ...", f"    {name} = {value}")
    return text
