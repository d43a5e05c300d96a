"""Drawing the two-figures images: what is where, in which colour, and exactly which pixels it covers."""

import dataclasses

import numpy as np
from jaxtyping import Bool, UInt8

SHAPES = ("square", "circle", "triangle")
COLORS = {"red": (220, 50, 50), "green": (50, 180, 70), "blue": (60, 80, 220)}
BACKGROUND = 128
# Label numbers, from 1 as in Broden: three colours, three shapes, then the nine pairs, colour by colour.
COLOR_LABELS = {color: 1 + i for i, color in enumerate(COLORS)}
SHAPE_LABELS = {shape: 4 + i for i, shape in enumerate(SHAPES)}
PAIR_LABELS = {f"{color}-{shape}": 7 + i for i, (color, shape) in enumerate((c, s) for c in COLORS for s in SHAPES)}
CATEGORIES = {"color": COLOR_LABELS, "shape": SHAPE_LABELS, "color-shape": PAIR_LABELS}
NUM_KINDS = len(PAIR_LABELS)


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure: a colour and a shape inside a square of ``size`` pixels whose top left corner is at (y, x)."""

    color: str
    shape: str
    y: int
    x: int
    size: int

    @property
    def kind(self) -> int:
        """The colour-shape pair as a number from 0 to 8."""
        return PAIR_LABELS[f"{self.color}-{self.shape}"] - 7


def shape_mask(shape: str, size: int) -> Bool[np.ndarray, "size size"]:
    """The pixels of a square of ``size`` pixels whose centres lie in the figure.

    The circle has the square's side as its diameter; the triangle stands on the square's lower side.
    """
    if shape == "square":
        return np.ones((size, size), bool)
    centres = np.arange(size) + 0.5
    x = centres[None, :] - size / 2
    if shape == "circle":
        return x**2 + (centres[:, None] - size / 2) ** 2 <= (size / 2) ** 2
    return np.abs(x) <= centres[:, None] / 2


def place_figures(rng: np.random.Generator, image_size: int, figure_size: int) -> tuple[Figure, Figure]:
    """Two figures of random kind at random places; their squares do not overlap, so each is seen whole."""
    kinds = rng.integers(NUM_KINDS, size=2)
    names = [list(PAIR_LABELS)[kind].split("-") for kind in kinds]
    while True:
        corners = rng.integers(image_size - figure_size + 1, size=(2, 2))
        if np.abs(corners[0] - corners[1]).max() >= figure_size:
            break
    (c0, s0), (c1, s1) = names
    return (
        Figure(c0, s0, int(corners[0, 0]), int(corners[0, 1]), figure_size),
        Figure(c1, s1, int(corners[1, 0]), int(corners[1, 1]), figure_size),
    )


def render(
    figures: tuple[Figure, ...], image_size: int, noise: float, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "size size 3"], dict[str, UInt8[np.ndarray, "size size"]]]:
    """The image of some figures, and the label map of each category (0 where there is no figure).

    Gaussian pixel noise of standard deviation ``noise`` (of 0..255) keeps activations off plateaus, on which
    the quantile of a threshold would fall.
    """
    image = np.full((image_size, image_size, 3), BACKGROUND, np.float64)
    labels = {category: np.zeros((image_size, image_size), np.uint8) for category in CATEGORIES}
    for figure in figures:
        window = np.s_[figure.y : figure.y + figure.size, figure.x : figure.x + figure.size]
        mask = shape_mask(figure.shape, figure.size)
        image[window][mask] = COLORS[figure.color]
        labels["color"][window][mask] = COLOR_LABELS[figure.color]
        labels["shape"][window][mask] = SHAPE_LABELS[figure.shape]
        labels["color-shape"][window][mask] = PAIR_LABELS[f"{figure.color}-{figure.shape}"]
    image += rng.normal(0, noise, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), labels


def pair_class(first: int, second: int) -> int:
    """Class of the multiclass task: an unordered pair of kinds (0 to 8, equal ones allowed) as 0 to 44."""
    low, high = sorted((first, second))
    return low * NUM_KINDS - low * (low - 1) // 2 + high - low


def class_names(task: str) -> tuple[str, ...]:
    """Names of the classes of a task: ``"multiclass"`` or ``"binary"`` (is there a square)."""
    if task == "binary":
        return ("no square", "square")
    kinds = list(PAIR_LABELS)
    return tuple(f"{kinds[i]} + {kinds[j]}" for i in range(NUM_KINDS) for j in range(i, NUM_KINDS))
