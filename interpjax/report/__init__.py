"""Showing what came out: tables on the terminal, figures, and one offline page."""
