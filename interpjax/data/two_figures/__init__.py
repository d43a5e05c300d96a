"""The two-figures data: how images are drawn, the TFDS builder that keeps them, and their labels as concepts."""
