"""Images to train on, and concepts to dissect with."""

from interpjax.data.broden.builder import build_broden
from interpjax.data.broden.records import load_broden
from interpjax.data.concepts import ConceptData
from interpjax.data.sources import Source, image_folder, tfds_set
from interpjax.data.splits import ArraySplit, FileSplit, Split

__all__ = [
    "ArraySplit",
    "ConceptData",
    "FileSplit",
    "Source",
    "Split",
    "build_broden",
    "image_folder",
    "load_broden",
    "tfds_set",
]
