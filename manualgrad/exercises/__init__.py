"""Gradcheck as a course: a file with the backward missing, and a check that says what is wrong with it.

Nothing here imports PyTorch until a student's code is run, so that the command line answers at once.
What runs a student's code is in ``worker``, ``judge``, ``student``, ``lines`` and ``scripts``; all else is
text, files and processes. A script that trains with a student's function takes it from
``manualgrad.exercises.student.load_function``.
"""
