"""Block norm against weight decay on the embedded data, the same recipe, over seeds.

Run:   python benchmarks/two_figures.py --workdir=workdirs/two_figures_seeds
Cost:  two or three minutes a run on 2 cores, six runs; what is finished in the workdir is not run again.
"""

import argparse
from pathlib import Path

import pandas as pd

import interpjax
from interpjax import config as config_lib


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, default=Path("workdirs/two_figures_seeds"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    tables = []
    for name, label in (("two_figures_wd", "weight decay"), ("two_figures_gbn", "block norm")):
        # One data set for all: seeds change initialization and order, not the images.
        config = config_lib.override(
            interpjax.get_config(name), {"data.directory": str(arguments.workdir.absolute() / "data")}
        )
        table = interpjax.sweep(config, {"seed": arguments.seeds}, arguments.workdir / name)
        tables.append(table.assign(regularizer=label))
    columns = ["accuracy", "conv1", "conv2", "interpretability_score", "rud"]
    runs = pd.concat(tables)[["regularizer", "seed", *columns]]
    print(f"\n{runs.to_string(index=False)}\n\n{runs.groupby('regularizer')[columns].agg(['mean', 'std']).to_string()}")


if __name__ == "__main__":
    main()
