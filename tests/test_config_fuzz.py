"""Odd values in the fields of a configuration: each is valid, or an error names the field."""

import math

import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interpjax import config as config_lib
from interpjax.config import validate
from interpjax.config.values import flatten
from interpjax.errors import UserError
from interpjax.prepare import prepare

FIELDS = list(flatten(config_lib.default_config().to_dict()))
ODD_NUMBERS = [
    math.inf,
    -math.inf,
    math.nan,
    1e300,
    -1e300,
    1e-320,
    5e-324,
    2**63,
    2**31,
    -(2**63),
    -1,
    0,
    1,
    0.5,
    True,
]
ODD_ITEMS = st.sampled_from([*ODD_NUMBERS, "", "x", "\0", "\udcff", "a:b", None, b"x", (), ("x",), (1,), ("x", 1), {}])
ODD = st.one_of(ODD_ITEMS, st.lists(ODD_ITEMS, max_size=4).map(tuple))


def outcome(name: str, value: object, tmp_path, *, whole: bool) -> str:
    """Empty where the configuration is valid, else what the user is told."""
    try:
        config = config_lib.override(tiny.tiny_config(), {name: value})
        validate(config)
        if whole:
            prepare(config, tmp_path, ("train", "evaluate", "dissect", "chance"))
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", FIELDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(value=ODD)
def test_validation_takes_a_value_or_names_the_field(tmp_path, name, value):
    told = outcome(name, value, tmp_path, whole=False)
    assert not told or f"config.{name}" in told or name.rpartition(".")[2] in told


@pytest.mark.long
@pytest.mark.parametrize("name", FIELDS)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(value=ODD)
def test_what_is_prepared_takes_a_value_or_names_the_field(tmp_path, name, value):
    told = outcome(name, value, tmp_path, whole=True)
    section, _, field = name.rpartition(".")
    assert not told or field in told or section in told
