"""Samples of the target itself, such as of HMC, that show what a flow misses: its own samples never can."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lattice_flows.actions import Action
from lattice_flows.config import ConfigError
from lattice_flows.flows import Flow
from lattice_flows.io.ensembles import Ensemble, ensemble_file
from lattice_flows.reading import reading

__all__ = ["ForwardSamples"]

_SAMPLES = 4096
_BATCH = 512


class ForwardSamples:
    """Configurations of an ensemble, spread over all of it, and their log weights for a flow.

    Args:
      path: an ensemble file of any sampler, or a run folder that holds one.
      action: the target; the ensemble must have been drawn with it.
      trained_on: whether a flow is trained on half of the configurations, so that the others alone can judge it.

    Attributes:
      fields: the configurations to train on, `[n, *shape]`; none unless `trained_on`.

    Raises:
      ConfigError: there is no such ensemble, it cannot be read, or it belongs to another lattice or action.
    """

    def __init__(self, path: str | Path, action: Action, *, trained_on: bool = False):
        self._action = action
        advice = "give an ensemble file, or a run folder that holds one, as training.forward_samples"
        path = ensemble_file(path, advice, ConfigError)
        if not path.exists():
            raise ConfigError(f"there is no ensemble {path}: {advice}")
        with reading(path, advice, ConfigError), Ensemble(path) as ensemble:
            there = {"lattice": tuple(ensemble.attributes["lattice_shape"]), "action": dict(ensemble.attributes["action"])}
            for name, here in {"lattice": action.lattice.shape, "action": action.component}.items():
                if there[name] != here:
                    raise ConfigError(
                        f"training.forward_samples: {path} was drawn with the {name} {there[name]}, not {here}; give samples of "
                        "the target that the flow is trained for, or null"
                    )
            phi = _spread(ensemble)
        self.fields, phi = (phi[::2], phi[1::2]) if trained_on else (phi[:0], phi)
        whole = len(phi) - len(phi) % _BATCH if len(phi) > _BATCH else len(phi)
        self._batches = np.split(phi[:whole], max(whole // _BATCH, 1))
        self._compiled: dict[tuple[Any, ...], Callable[[tf.Tensor], tf.Tensor]] = {}

    def log_weights(self, flow: Flow) -> np.ndarray:
        """Returns `-S(phi) - log q(phi)` of the configurations that judge, for a flow as it is, with its integration steps."""
        steps = tuple(flow.integration_steps.items())
        if steps not in self._compiled:
            action, dtype = self._action, flow.density_dtype
            self._compiled[steps] = tf.function(lambda phi: -action(phi) - flow.log_prob(tf.cast(phi, dtype)), jit_compile=True)
        with tf.device(flow.device):
            found = [self._compiled[steps](tf.constant(phi, tf.float64)).numpy() for phi in self._batches]
        return np.concatenate(found)


def _spread(ensemble: Ensemble) -> np.ndarray:
    """Configurations `[n, *shape]` at equal distances in all chains, n up to 4096 or the number of chains."""
    index = ensemble.index
    chains = 1 if index is not None else ensemble.rows(0, 1).shape[1]
    updates = np.unique(np.linspace(0, len(ensemble) - 1, max(_SAMPLES // chains, 1)).astype(int))
    rows = updates if index is None else index[updates]
    phi = np.concatenate([ensemble.rows(row, row + 1) for row in rows])
    return phi if index is not None else phi.reshape(-1, *phi.shape[2:])
