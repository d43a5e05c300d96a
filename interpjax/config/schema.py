"""The schema of an experiment and its defaults.

A configuration file defines ``get_config(arg)`` and returns :func:`default_config` with some fields set. Every
field is listed here and nowhere else; setting one that is not is an error.
"""

from ml_collections import ConfigDict

TERMS = (
    "block_norm",
    "weight_decay",
    "group_activation",
    "spatial",
    "group_repulsion",
    "soft_orthogonality",
    "exclusive_lasso",
)


def default_config() -> ConfigDict:
    """Every field with its default. The configuration is locked, so that no other field can be set."""
    config = ConfigDict()
    config.seed = 0  # of initialization, order of the data, augmentation and dropout
    config.compilation_cache = ""  # a folder for what JAX has compiled, to be used again by other runs; "" = none
    config.wandb = ""  # a project of Weights & Biases to log to as well, where wandb is installed; "" = none
    config.data = _data()
    config.model = ConfigDict(
        {
            "name": "alexnet",  # one of interpjax.models.MODELS, or the import path of a class, "mynets:SmallNet"
            "width": 1.0,  # multiplies the number of filters and of hidden units
            "dropout": True,
            "dtype": "float32",  # that the network computes in, or bfloat16; parameters and the loss stay float32
            "remat": False,  # training computes maps anew for the gradient, to save memory; of VGG and DenseNet
            "weights": "",  # a file of published weights: with the stage train it starts from them, else as they are
            "frozen": (),  # name patterns of layers whose parameters are not trained, ("conv[1-3]", "bn*"); () = none
        }
    )
    config.regularizer = _regularizer()
    config.optimizer = _optimizer()
    config.training = _training()
    config.dissection = _dissection()
    config.visualization = ConfigDict(
        {
            # Beside the top images: filters, causes (what is lost without a unit or group), maximized_units,
            # maximized_groups, class_models, saliency, grad_cam.
            "pictures": ("filters", "causes"),
            "most": 8,  # units of each layer, groups, classes or images of each kind of picture
            "test_images": 512,  # that causes are measured on, at most
        }
    )
    return config.lock()


def _optimizer() -> ConfigDict:
    return ConfigDict(
        {
            "name": "sgd",  # or adam, adamw, or the import path of a function of the learning rate, "mine:lion"
            "learning_rate": 0.01,
            "warmup_steps": 0,  # the learning rate rises from 0 over them, by a factor beside the schedule
            "momentum": 0.9,  # of sgd
            "nesterov": False,  # Nesterov's momentum, of sgd
            "decoupled_weight_decay": 0.0,  # of adamw, in its step; regularizer.weight_decay is in the loss instead
            "clip_norm": 0.0,  # gradients whose global norm is larger are scaled down to it; 0 = off
            "schedule": "constant",
            "decay_every_epochs": 30.0,  # of schedule step
            "decay_factor": 0.1,  # of schedule step
            # The smallest weights of convolutions become zero, ever more from start to stop, shares of the training.
            "pruning": {"sparsity": 0.0, "start": 0.25, "stop": 0.75, "layers": ()},
        }
    )


def _training() -> ConfigDict:
    return ConfigDict(
        {
            "batch_size": 256,  # over all devices of all processes
            "accumulate_steps": 1,  # micro-batches that a step takes one after the other, to save memory
            "num_epochs": 90.0,
            "num_steps": 0,  # if above 0, in place of num_epochs
            "log_every_steps": 50,
            "eval_every_steps": 1000,
            "checkpoint_every_steps": 1000,
            "keep_checkpoints": 2,
            "profile_steps": (),  # the first and the last step of a profile, (100, 105), which is in WORKDIR/profile
            "label_smoothing": 0.0,  # the share of a target that is spread evenly over all classes, of training alone
            "on_nonfinite": "error",  # or rollback: a step whose loss or gradients are not finite changes nothing
            "ema_decay": 0.0,  # of the moving average of the variables, which is then the trained network; 0 = off
        }
    )


def _dissection() -> ConfigDict:
    return ConfigDict(
        {
            "protocol": "paper",
            "protocol_fields": (),  # (("top_quantile", 0.01), …): other than the protocol's
            "layers": (),  # () = every convolution
            "broden": "",  # in Broden's layout, or as built from it; "": the labels that the data bring, as two_figures
            "half": "all",  # of the labelled images: validation, to choose strengths on, or test, to report on
            "batch_size": 64,
            "top_images": 5,  # shown for each unit in the report
            "intervals": True,  # 95 % intervals of the counts and of every IoU, over images; keeps counts by image
            "chance": {  # of the stage chance, which is run where it is asked for
                "kinds": ("labels", "untrained"),  # or rotation
                "draws": 100,  # of labels and rotation; an untrained network is one, of the run's own seed
                "seed": 0,
            },
        }
    )


def _data() -> ConfigDict:
    return ConfigDict(
        {
            "source": "two_figures",  # or image_folder, tfds, or the import path of a function, "mydata:my_source"
            "train": "",  # image_folder: a folder of class folders; tfds: a split
            "test": "",
            "validation": 0.0,  # share of the training images held out, drawn by the seed, the same of every class
            "shuffled_labels": False,  # a control: training images have each other's labels, drawn by the seed
            "tfds_name": "",
            "classes": (),  # names or numbers of those to keep, labelled 0, 1, … in this order; () = all
            "directory": "",  # of TFDS data; "" = TFDS's own default, and WORKDIR/data for two_figures
            "image_size": 224,  # what the network sees
            "resize_size": 256,  # shorter side before the test images' centre crop
            "augment": "random_resized_crop",
            "channels": "RGB",  # that the network was trained with; other than RGB only with model.weights
            "mean": (0.485, 0.456, 0.406),  # of the channels in their order, in 0..1
            "std": (0.229, 0.224, 0.225),
            "mean_image": "",  # .npy, [3, h, w] or [h, w, 3] in 0..255: in place of mean, only with model.weights
            "on_bad_image": "error",
            "max_pixels": 100_000_000,  # of an image; a larger one is a bad image, and is not decoded
            "num_threads": 8,  # that read and decode
            "two_figures": {
                "task": "binary",
                "image_size": 40,  # pixels
                "figure_size": 7,
                "train_images": 8192,
                "test_images": 2048,
                "noise": 6.0,  # standard deviation, of 0..255
                "seed": 0,
            },
        }
    )


def _regularizer() -> ConfigDict:
    # Strength 0 turns a term off; over its first warmup_steps it rises from 0. layers: name patterns, () = all.
    term = {"strength": 0.0, "warmup_steps": 0, "layers": ()}
    return ConfigDict(
        {
            # Of all terms that know of groups.
            "grouping": {
                "num_groups": 5,
                "group_size": 0,  # if above 0, in place of num_groups
                "indices": (),  # of the channels of each group, from 0; if any, in place of num_groups
                "order": "contiguous",
                "remainder": "free",
                "by_layer": (),  # (("conv1", 8), ("conv5", 0)): another number of groups, or none, for some layers
            },
            # While it is on, the kernels it covers are its alone: weight decay leaves them out.
            "block_norm": {
                **term,
                "p": 2.0,
                "q": 1.0,
                "form": "norm",
                "axis": "filters",
                "weights": "none",
                "dense": False,  # kernels of dense layers too
                "proximal": False,  # by proximal steps, which make exact zeros, not by its gradient
            },
            "weight_decay": dict(term),
            "soft_receptive_field": {  # ψ = σ(scale·a/S + shift), of the losses on activations
                "scale": 1.0,
                "shift": 0.0,
                "learned": False,  # scale and shift are then where they start
                "statistics": "minibatch",
            },
            "group_activation": {**term, "form": "code"},
            "spatial": dict(term),
            "group_repulsion": {**term, "form": "code"},
            "soft_orthogonality": dict(term),
            "exclusive_lasso": dict(term),
            "own": (),  # terms of one's own with their strengths, (("mylosses:total_variation", 1e-3),)
        }
    )
