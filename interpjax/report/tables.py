"""Tables as plain text, for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any


def align(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [header, ["-" * w for w in widths], *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def layers_table(summary: dict[str, Any]) -> str:
    """Unique detectors of each layer, in all and by category."""
    layers = summary["layers"]
    categories = list(next(iter(layers.values()))["by_category"])
    header = ["layer", "units", "detectors", "unique", *categories, "per-category", "T = 0"]
    rows = [
        [
            name,
            *(str(layer[key]) for key in ("units", "detectors", "unique_detectors")),
            *(str(layer["by_category"][category]) for category in categories),
            str(layer["unique_detectors_per_category"]),
            str(layer["zero_threshold_units"]),
        ]
        for name, layer in layers.items()
    ]
    return align(header, rows)


def ceilings_table(summary: dict[str, Any], most: int) -> str:
    """What each concept can reach at best and does reach, the best detected first."""
    layers = list(summary["layers"])
    concepts = sorted(summary["concepts"], key=lambda concept: -max(concept["best_iou"].values()))
    rows = [
        [
            f"{concept['name']} ({concept['category']})",
            f"{concept['share']:.2%}",
            f"{concept['ceiling']:.3f}",
            *(f"{concept['best_iou'][layer]:.3f}" for layer in layers),
        ]
        for concept in concepts[:most]
    ]
    left = len(concepts) - most
    return align(["concept", "pixels", "ceiling", *layers], rows) + (f"\n… and {left} more" if left > 0 else "")


CHANCE_COLUMNS = ("chance (draws)", "layer", "unique", "by chance", "detectors above", "unique above")
BY_CHANCE = ("unique_detectors", "low", "high")
CALIBRATED = ("calibrated_detectors", "calibrated_unique_detectors")
GROUP_COLUMNS = {
    "zero_groups": "zero groups",
    "hoyer": "Hoyer",
    "dead_filters": "dead filters",
    "within_similarity": "within",
    "between_similarity": "between",
}


def groups_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Of each convolution: its groups and their norms, then the columns above; "–" where there is none."""
    rows = []
    for layer, values in summary.get("groups", {}).items():
        norms = values.get("folded_relevance", values.get("relevance"))
        span = f"{min(norms):.3g}–{max(norms):.3g}" if norms else "–"
        cells = [_cell(name, values[name]) if name in values else "–" for name in GROUP_COLUMNS]
        rows.append([layer, str(len(norms)) if norms else "–", span, *cells])
    return rows


def groups_table(summary: dict[str, Any]) -> str:
    """What became of the groups of filters."""
    return align(["layer", "groups", "norms", *GROUP_COLUMNS.values()], groups_rows(summary))


def _cell(name: str, value: float | None) -> str:
    if value is None:  # as JSON has what is not finite
        return "–"
    if name == "dead_filters":
        return str(round(value))
    return f"{value:.0%}" if name == "zero_groups" else f"{value:.3f}"


def chance_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """For each kind of chance, its draws, and of all layers and each: unique detectors by it, and what is above it."""
    rows = []
    for kind, chance in summary.get("chance", {}).items():
        layers = chance["layers"]
        above = [sum(layer[name] for layer in layers.values()) for name in CALIBRATED]
        of_all = [summary["interpretability_score"], chance["interpretability_score"], chance["low"], chance["high"]]
        rows.append(_chance_row(f"{kind} ({chance['draws']})", "all", of_all, above))
        for name, layer in layers.items():
            values = [summary["layers"][name]["unique_detectors"], *(layer[key] for key in BY_CHANCE)]
            rows.append(_chance_row("", name, values, [layer[key] for key in CALIBRATED]))
    return rows


def chance_table(summary: dict[str, Any]) -> str:
    """What the layers would detect by chance, beside what they do."""
    return align(CHANCE_COLUMNS, chance_rows(summary))


def _chance_row(kind: str, layer: str, values: Sequence[float], above: Sequence[int]) -> list[str]:
    unique, mean, low, high = values
    return [kind, layer, str(unique), f"{mean:.1f} ({low}–{high})", *map(str, above)]


def scores_table(summary: dict[str, Any]) -> str:
    """Accuracy, interpretability score and seconds, as far as they were measured."""
    lines = []
    if "accuracy" in summary:
        lines.append(f"test accuracy            {summary['accuracy']:.2%} (top-5 {summary['top5']:.2%})")
    if "validation_accuracy" in summary:
        lines.append(f"validation accuracy      {summary['validation_accuracy']:.2%}")
    if "layers" in summary:
        score = f"{summary['interpretability_score']} (unique detectors, summed over layers)"
        lines += [f"interpretability score   {score}", f"unique / filters (RUD)   {summary['rud']:.3f}"]
    seconds = ", ".join(f"{stage} {value:.0f} s" for stage, value in summary["seconds"].items())
    lines.append(f"seconds                  {seconds}")
    skipped = {split: len(names) for split, names in summary["skipped_images"].items() if names}
    if skipped:
        lines.append("skipped images           " + ", ".join(f"{split} {count}" for split, count in skipped.items()))
    return "\n".join(lines)


def format_summary(summary: dict[str, Any], *, concepts: int = 20) -> str:
    """All tables of a run, with at most so many concepts; what was not measured is left out."""
    parts = []
    if "layers" in summary:
        cut = summary["protocol"]["detector_iou"]
        unreachable = [concept["name"] for concept in summary["concepts"] if concept["ceiling"] < cut]
        parts += [
            ceilings_table(summary, concepts),
            "ceiling: the largest IoU that the sizes of the masks allow; then the best of each layer. "
            f"Concepts whose ceiling is below the cut of {cut}: {', '.join(unreachable) or 'none'}.",
            layers_table(summary),
        ]
    if "chance" in summary:
        parts.append(chance_table(summary))
    if "groups" in summary:
        parts.append(groups_table(summary))
    parts.append(scores_table(summary))
    if "layers" in summary:
        parts.append(f"protocol                 {summary['protocol']['description']}")
    return "\n\n".join(parts)
