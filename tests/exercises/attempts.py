"""What a student may hand in: stubs, stubs with lines written in them, and solved files."""

from manualgrad.exercises.course import find
from manualgrad.exercises.folder import Folder
from manualgrad.exercises.stub import write_stub

PLACE = "raise NotImplementedError  # replace this line by yours"


def stub(exercise):
    """The file as `start` writes it."""
    return write_stub(find(exercise) if isinstance(exercise, str) else exercise, Folder(program="exercises"))


def attempt(exercise, *lines):
    """The stub with lines in the one place to write."""
    text = stub(exercise)
    assert text.count(PLACE) == 1
    return text.replace(PLACE, "\n        ".join(lines))


def solved(exercise):
    """A file that takes our solution, without repeating it."""
    if exercise.kind == "prediction":
        return stub(exercise).replace("prediction = ...", f'prediction = "{exercise.answer}"')
    if exercise.kind != "function":
        return exercise.lesson.body()
    imported = f"from {exercise.module} import {exercise.lesson.class_name} as Ours"
    return stub(exercise) + f"\n    {imported}\n    backward = staticmethod(Ours.backward)\n"


def written(exercise, **values):
    """The network's stub with some of its lines written."""
    text = stub(exercise)
    for name, value in values.items():
        assert f"    {name} = ..." in text
        text = text.replace(f"    {name} = ...", f"    {name} = {value}")
    return text
