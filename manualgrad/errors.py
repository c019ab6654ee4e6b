"""The exception that is a message to the person at the terminal."""


class UserError(Exception):
    """Report what the user can mend: a file, a device, a value. Scripts print it as one line.

    The message says what was expected and what came.
    """
