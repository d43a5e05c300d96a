"""Training: the objective, the optimizer, the training loop, and its checkpoints and metrics."""

from interpjax.training.checkpoint import Checkpoints
from interpjax.training.checkpoint_errors import CheckpointError
from interpjax.training.evaluation import Evaluated, evaluate, sample_images
from interpjax.training.metrics import TrainingDivergedError
from interpjax.training.objective import Objective, SoftFields, Term, TermInputs
from interpjax.training.recipe import Recipe
from interpjax.training.saved import drop_checkpoints, kept_steps
from interpjax.training.state import TrainState, create_train_state, initial_variables
from interpjax.training.train import Training, read_variables, train

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "Evaluated",
    "Objective",
    "Recipe",
    "SoftFields",
    "Term",
    "TermInputs",
    "TrainState",
    "Training",
    "TrainingDivergedError",
    "create_train_state",
    "drop_checkpoints",
    "evaluate",
    "initial_variables",
    "kept_steps",
    "read_variables",
    "sample_images",
    "train",
]
