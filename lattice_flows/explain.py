"""What a trained flow has not learned: which share of the variance of its log weights its own weights, or new ones, can remove."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lattice_flows.actions import ACTIONS
from lattice_flows.config import ConfigError, RunConfig, on_top
from lattice_flows.config.keys import described, trees
from lattice_flows.flows import Flow
from lattice_flows.importance import BrokenFlow, WeightedSampler
from lattice_flows.measurement.errors import Estimate, format_estimate, independent_mean
from lattice_flows.measurement.score_fit import explained_share, score_fit
from lattice_flows.measurement.tables import text_table
from lattice_flows.pipeline import build_model, recorded_config
from lattice_flows.progress import Progress
from lattice_flows.resources import check_memory, fitting
from lattice_flows.training.objectives import scores
from lattice_flows.training.stages import begin_with, find_weights

__all__ = ["DAMPINGS", "Explanation", "explain"]

DAMPINGS = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
_OWN, _ALL = "as it is", "all of these"
_FEWEST, _SAMPLES, _BATCH, _SITES = 1000, 8192, 512, 2**16
_LEAST, _USUAL = 2, 4  # samples for each weight
_LARGEST_CHANGE = 0.1  # of log q by new terms, relative to the spread of log weights


def _signed(share: Estimate, name: str) -> str:
    return f"{'' if name == _OWN or share.value < 0 else '+'}{format_estimate(share)}"


class Explanation(NamedTuple):
    """Shares of the variance of a flow's log weights, by the weights that could remove them.

    Attributes:
      samples: number of samples of the flow.
      variance: of their log weights.
      rows: "as it is", and every addition -> the number of all weights, and for each of `DAMPINGS` the share, see `score_fit`; of
        an addition, what it explains beyond that.
    """

    samples: int
    variance: Estimate
    rows: Mapping[str, tuple[int, Sequence[Estimate]]]

    def __str__(self) -> str:
        header = ["the flow", "weights", *(f"damping {damping:.0e}".replace("e-0", "e-") for damping in DAMPINGS)]
        rows = [[name, number, *(_signed(each, name) for each in shares)] for name, (number, shares) in self.rows.items()]
        variance = f"Variance of log weights {format_estimate(self.variance)}, by {self.samples} samples."
        meaning = "Shares of it that a change of the weights removes, and what new terms add to them:"
        return f"{variance} {meaning}\n\n{text_table(header, rows)}"


def explain(
    weights: str | Path,
    added: Sequence[Mapping[str, Any]] = (),
    *,
    samples: int | None = None,
    seed: int = 1,
    progress: Progress | None = None,
) -> Explanation:
    """Fits the log weights of a trained flow by its scores, and by those of terms that it does not have.

    New terms begin with kernels of zero, which do not change the density, but it has derivatives with respect to them. (It has none
    yet with respect to their frequencies, so what they add is that of the frequencies they begin with.) The rows are the flow as it
    is, each of the additions, and all of them.

    ```python
    from lattice_flows.explain import explain

    found = explain("continuous/E1", [{"flow.features": 8}], samples=1000)
    print(found)
    ```

    Args:
      weights: a run folder, a weights file, or the name of weights that come with the package, such as "continuous/E5".
      added: dotted keys with other values, for every addition, such as `{"flow.features": 9}`.
      samples: of the flow; None for four times as many as weights, 8192 at least.
      seed: of the samples.
      progress: where progress is shown; None for silence.

    Raises:
      BrokenFlow: no sample has a finite weight.
      ConfigError: a key or value that cannot be used, an addition that changes the density or adds no weights, a flow for many
        couplings or with log weights that are all equal, or fewer than 1000 samples, or than two for each weight.
      CheckpointError: the weights are missing, damaged, or do not fit.
      NotEnough: the scores exceed the memory of the machine.
    """
    progress, file = progress or Progress(quiet=True), find_weights(weights)
    config = recorded_config(file)
    flows = _grown(config, added, file)
    own, numbers = flows[_OWN], {name: flow.number_of_parameters() for name, flow in flows.items()}
    largest = max(numbers.values())
    samples = max(_SAMPLES, _USUAL * largest) if samples is None else samples
    if samples < (fewest := max(_FEWEST, _LEAST * largest)):
        raise ConfigError(f"explain: samples must be {fewest} or more, for fits of {largest} weights, got {samples}")
    check_memory(16 * largest * (samples + 2 * largest), f"{samples} scores of {largest} weights", "use fewer --samples")

    with progress.meanwhile("drawing samples"):
        sampler = WeightedSampler(own, ACTIONS.build(config.action, own.lattice), _BATCH, seed)
        phi, log_weight = (np.concatenate(parts) for parts in zip(*sampler.batches(samples, "scores"), strict=True))
    finite = np.isfinite(log_weight)
    if not finite.any():
        raise BrokenFlow(samples)
    phi, log_weight = phi[finite].astype(np.float32), log_weight[finite]
    variance = independent_mean((log_weight - log_weight.mean()) ** 2)
    if not variance.value > 0:
        raise ConfigError(f"the log weights of {file} are all equal: there is nothing to explain")
    log_q, score = _scores(own, phi, _OWN, progress)
    total, explained = score_fit(log_weight, score, DAMPINGS)
    rows = {_OWN: (numbers.pop(_OWN), [explained_share(each, total) for each in explained])}
    for name, number in numbers.items():
        new_log_q, score = _scores(flows[name], phi, name, progress)
        _check_addition(name, np.abs(new_log_q - log_q).max(), np.sqrt(variance.value))
        beyond = score_fit(log_weight, score, DAMPINGS)[1] - explained
        rows[name] = number, [explained_share(each, total) for each in beyond]
    return Explanation(len(log_weight), variance, rows)


def _grown(config: RunConfig, added: Sequence[Mapping[str, Any]], file: Path) -> dict[str, Flow]:
    """The flow of a file as it is, with each of the additions, and with all of them."""
    together: dict[str, Any] = {}
    for keys in added:
        if others := [key for key in keys if not key.startswith("flow.")]:
            raise ConfigError(f"{others[0]} is no key of the flow: give one such as flow.features=9")
        together |= keys
    own = _begun(config, {}, file)
    if own.condition is not None:
        raise ConfigError(f"the weights in {file} are of a flow for many values of {own.condition}: explain takes those for one")
    flows = {_OWN: own} | {described(keys): _begun(config, keys, file) for keys in added}
    for name, flow in flows.items():
        if flow is not own and flow.number_of_parameters() <= own.number_of_parameters():
            raise ConfigError(f"{name} adds no weights to the flow: give a key and a value that do")
    return flows | ({_ALL: _begun(config, together, file)} if 1 < len(added) <= len(together) else {})


def _begun(config: RunConfig, keys: Mapping[str, Any], file: Path) -> Flow:
    """The flow of a configuration with other values of some keys, which has the weights of a file."""
    content = config.model_dump(mode="json")
    for above in trees(keys):
        content = on_top(content, above)
    flow, _ = build_model(RunConfig.checked(content, described(keys) or str(file)))
    begin_with(flow, str(file))
    return flow


def _check_addition(name: str, change: float, spread: float) -> None:
    if not change < _LARGEST_CHANGE * spread:
        raise ConfigError(
            f"{name} changes log q by up to {change:.2g} before any training, where log weights have a spread of {spread:.2g}: "
            "it is not a new term beside those that the flow has"
        )


def _scores(flow: Flow, phi: np.ndarray, name: str, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """log q `[n]`, and its derivatives with respect to all weights `[n, weights]`, float32."""
    n, chunk = len(phi), fitting(len(phi), _SITES, flow.lattice.shape)
    log_q, found = np.empty(n), np.empty((n, flow.number_of_parameters()), np.float32)

    @tf.function(jit_compile=True, input_signature=[tf.TensorSpec([chunk, *phi.shape[1:]], tf.float32)])
    def log_q_and_scores(fields: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return flow.log_prob(fields), scores(flow, fields)[0]

    compiled = log_q_and_scores.get_concrete_function()
    with progress.bar(f"scores, {name}", -(-n // chunk)) as bar:
        for start in range(0, n, chunk):
            start = min(start, n - chunk)  # all chunks have one size, which is compiled once
            here = slice(start, start + chunk)
            log_q[here], found[here] = (part.numpy() for part in compiled(tf.constant(phi[here])))
            bar.advance()
    return log_q, found
