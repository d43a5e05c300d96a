"""Training: what is minimized, how, and what is kept of it."""

from interpjax.training.checkpoint import CheckpointError, Checkpoints
from interpjax.training.loop import TrainingDivergedError, check, evaluate, restore_state, train
from interpjax.training.state import TrainState, create_train_state

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "TrainState",
    "TrainingDivergedError",
    "check",
    "create_train_state",
    "evaluate",
    "restore_state",
    "train",
]
