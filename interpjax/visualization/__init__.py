"""Pictures of what units respond to."""
