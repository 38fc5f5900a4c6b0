"""The fields between noise and field, as a flow makes them one after the other."""

from typing import Any

import tensorflow as tf

from lattice_flows.flows.flow import Flow

__all__ = ["intermediate_fields"]


def intermediate_fields(flow: Flow, n: int, seed: Any) -> dict[str, tf.Tensor]:
    """Draws noise, and follows it through the flow.

    What a step is, the parts of the flow say: a part with a method `trajectory` gives the fields on its way, such as those after
    every step of an integration; every other one gives its value.

    ```python
    flow = lf.flows.affine(lf.Lattice((4, 4)), layers=2)
    fields = lf.flows.intermediate_fields(flow, 3, seed=[1, 2])
    print(list(fields)[0], fields["noise"].shape)                       # noise (3, 4, 4)
    ```

    Args:
      flow: whose samples are to be followed.
      n: how many.
      seed: stateless seed, int32 `[2]`.

    Returns:
      label -> fields `[n, *shape]`, float64: "noise", and then what each step leaves, "t = 0.25" or "1 of 16: coupling 0". The
      last ones are samples of the flow, for flows of one peak those of one sign.
    """
    steps: list[Any] = []
    distribution = flow.distribution
    while hasattr(distribution, "distribution"):  # that of a flow, or of one around another flow
        steps = _steps(distribution.bijector) + steps if hasattr(distribution, "bijector") else steps
        distribution = distribution.distribution
    fields = {"noise": tf.cast(distribution.sample(n, seed=seed), tf.float64)}
    for number, part in enumerate(steps, 1):
        before = fields[next(reversed(fields))]
        if hasattr(part, "trajectory"):
            _, *on_the_way = part.trajectory(before)
            prefix = f"{number} of {len(steps)}: " if len(steps) > 1 else ""
            fields |= {f"{prefix}t = {k / len(on_the_way):.3g}": phi for k, phi in enumerate(on_the_way, 1)}
        else:
            fields[f"{number} of {len(steps)}: {part.name.replace('_', ' ')}"] = part.forward(before)
    return fields


def _steps(bijector: Any) -> list[Any]:
    """The parts of a chain in the order in which they act; the bijector itself if it is none."""
    parts = getattr(bijector, "bijectors", None)
    if parts is None:
        return [] if bijector.name == "identity" else [bijector]
    return [step for part in reversed(parts) for step in _steps(part)]
