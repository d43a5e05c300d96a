"""Training: what is minimized, how, and what is kept of it."""

from interpjax.training.checkpoint import CheckpointError, Checkpoints
from interpjax.training.evaluation import diagnose, evaluate
from interpjax.training.loop import TrainingDivergedError, train
from interpjax.training.setup import check, restore_state
from interpjax.training.state import TrainState, create_train_state

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "TrainState",
    "TrainingDivergedError",
    "check",
    "create_train_state",
    "diagnose",
    "evaluate",
    "restore_state",
    "train",
]
