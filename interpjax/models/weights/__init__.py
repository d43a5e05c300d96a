"""Published weights: files of any kind, as variables of a model."""
