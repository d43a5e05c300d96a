"""The errors that a user can mend: the command line tells them in one line, without a traceback."""


class UserError(ValueError):
    """Something is wrong with the configuration, a file, the data or the machine; the message says what and where."""
