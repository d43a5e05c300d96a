"""Getting the public data sets: downloads that go on where they stopped, and builders that need no TensorFlow."""
