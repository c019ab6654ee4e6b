"""The course: a file with the backward missing, and a check that says what is wrong with it.

Nothing here imports PyTorch until a student's code is run, so that the command line answers at once.
``judge`` and what it imports run in the check's own process; all else is text, files and processes.
"""
