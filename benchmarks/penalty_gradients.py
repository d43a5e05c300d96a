"""How strong weight decay and the block norm are beside each other, in each convolution of a published network.

A penalty acts by its gradient. That of weight decay, λw, grows with the weights, and that of the block norm, λw/‖w_g‖
in each group, does not: so at which strengths the two are alike depends on the weights. For each convolution kernel,
the largest root mean square first, this prints the norm of both gradients and their ratio.

Run:   python benchmarks/penalty_gradients.py imported:squeezenet_places365 FILE --weight_decay 1e-4 --block_norm 0.01
Cost:  seconds.
"""

import argparse

import jax
import numpy as np

import interpjax
from interpjax import regularizers as reg
from interpjax.prepare import networks, recipes


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="of the network")
    parser.add_argument("weights", help="its file of weights")
    parser.add_argument("--weight_decay", type=float, required=True, help="its strength")
    parser.add_argument("--block_norm", type=float, required=True, help="its strength")
    arguments = parser.parse_args()
    config = interpjax.get_config(arguments.config)
    config.model.weights = arguments.weights
    variables, grouping = networks.read_weights(config), recipes.read_grouping(config)
    if variables is None:
        raise SystemExit(f"weights = {arguments.weights!r}: expected a file")
    params = variables["params"]
    decay = jax.grad(lambda params: arguments.weight_decay * reg.weight_decay_penalty(params))(params)
    norm = jax.grad(lambda params: arguments.block_norm * reg.block_norm_penalty(params, grouping)[0])(params)
    weights, of_decay, of_norm = (reg.convolution_kernels(tree) for tree in (params, decay, norm))
    size = {layer: float(np.sqrt(np.mean(np.square(kernel)))) for layer, kernel in weights.items()}
    print("| layer | kernel | root mean square | weight decay | block norm | ratio |\n|---|---|---|---|---|---|")
    for layer in sorted(size, key=size.__getitem__, reverse=True):
        first, second = (float(np.linalg.norm(np.ravel(tree[layer]))) for tree in (of_decay, of_norm))
        shape = "×".join(map(str, weights[layer].shape))
        print(f"| {layer} | {shape} | {size[layer]:.3g} | {first:.3g} | {second:.3g} | {second / first:.2g} |")


if __name__ == "__main__":
    main()
