"""From a template to a page: what all pages have in common, escaping above all."""

from collections.abc import Callable, Mapping
from typing import Any

import jinja2

from interpjax.report import names


def render(template: str, filters: Mapping[str, Callable[..., str]], **values: Any) -> str:
    """A page of a template in ``templates/``; whatever is put into it is escaped, and a missing value is an error.

    Args:
      template: its file's name.
      filters: the page's own, beside those of names and addresses.
      **values: for the template.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("interpjax.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "category_class": names.category_class,
        "layer_address": names.layer_address,
        "unit_address": names.unit_address,
        "group_address": names.group_address,
        "share": names.share,
    }
    environment.filters |= filters
    return environment.get_template(template).render(**values)
