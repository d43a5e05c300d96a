"""Broden, the data set of Network Dissection: its tables, its records, and the builder that puts it into few files."""
