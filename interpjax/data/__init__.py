"""Images to train on, and concepts to dissect with."""

from interpjax.data.broden.builder import build_broden
from interpjax.data.broden.records import load_broden
from interpjax.data.concepts import ConceptData
from interpjax.data.sources import Source, Split, load_source

__all__ = ["ConceptData", "Source", "Split", "build_broden", "load_broden", "load_source"]
