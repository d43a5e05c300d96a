"""Data sets that interpjax makes itself, as TFDS builders that need no TensorFlow."""
