"""Tables of experiments over seeds: run, collected, and held beside what was published."""

from interpjax.tables.make import make_table, make_task, write_table
from interpjax.tables.table import Row, Table, read_table

__all__ = ["Row", "Table", "make_table", "make_task", "read_table", "write_table"]
