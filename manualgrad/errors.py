"""The one exception that is a message to the person at the terminal."""


class UserError(Exception):
    """Something that its reader can mend: a file, a device, a value. Scripts print it as one line.

    The message says what was expected and what came.
    """
