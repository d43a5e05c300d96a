"""What an experiment is: every field with its default, the files that set them, and the checks that they must pass."""

from interpjax.config.checks import validate
from interpjax.config.files import get_config
from interpjax.config.identity import digest, may_change, without_spelling
from interpjax.config.schema import TERMS, default_config
from interpjax.config.values import differing_fields, from_json, get_field, override, to_json

__all__ = [
    "TERMS",
    "default_config",
    "differing_fields",
    "digest",
    "from_json",
    "get_config",
    "get_field",
    "may_change",
    "override",
    "to_json",
    "validate",
    "without_spelling",
]
