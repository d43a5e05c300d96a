"""The commands beside the main job: each reads its own arguments, and ends as the main job does."""
