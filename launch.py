"""Runs an experiment from a checkout, as the command ``interpjax`` does where it is installed; see ``--help``."""

from interpjax.__main__ import main

if __name__ == "__main__":
    main()
