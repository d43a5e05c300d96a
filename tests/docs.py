"""The code blocks of README and the documentation."""

import re
import shlex
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def arguments(command: str) -> list[str]:
    """What follows the name of the program in a command."""
    return shlex.split(command.replace("\\\n", " "))[1:]
