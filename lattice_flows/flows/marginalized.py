"""A flow of half of the field: the even sites are integrated out exactly.

    S_odd(phi) = sum_odd [ (m2 + 2d) phi^2 + lam phi^4 ] - sum_even F(h_x),    log q = log q_odd + sum_even log p(phi_x | h_x)

Even sites of a local action see odd ones alone. A flow models the distribution `exp(-S_odd) / Z` of the odd sites, and the even
ones are drawn from their exact conditional distribution p; see `bijectors.site_conditional`. They drop out of the importance
weights: `w = -S - log q = -S_odd - log q_odd`.
"""

from collections.abc import Callable
from typing import Annotated, ClassVar

import tensorflow as tf
import tensorflow_probability as tfp

from lattice_flows.actions import ACTIONS, Action
from lattice_flows.bijectors import EvenSites, OnOddSites
from lattice_flows.bijectors.odd_sites import split
from lattice_flows.config import Component
from lattice_flows.flows.components import check_unconditioned, recorded
from lattice_flows.flows.flow import Flow
from lattice_flows.flows.registry import FLOWS
from lattice_flows.lattice import Lattice, OddSites
from lattice_flows.priors import NormalEvenSites

__all__ = ["for_action", "marginalized", "without_even_sites"]

CONTINUOUS = Component(name="continuous")


@recorded("marginalized")
def marginalized(
    lattice: Lattice,
    seed: int = 1,
    *,
    of: Annotated[Component, FLOWS] = CONTINUOUS,
    action: Annotated[Component | None, ACTIONS] = None,
) -> Flow:
    """Builds the flow whose odd sites are those of another one, and whose even sites follow exactly.

    Weights have the names that they have in the other flow.

    ```python
    action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=5.0)
    flow = lf.flows.marginalized(action.lattice, action=action.component)
    ```

    Args:
      lattice: the lattice; every extent must be even.
      seed: master seed of the initial weights.
      of: the flow of the odd sites: `continuous`, or `affine` with `partitions: [stripes]`, every other row of the odd sites.
      action: whose even sites are integrated out; in a configuration, null stands for the configuration's own. Weights are exact
        for every other action too, but not good.

    Returns:
      The flow.

    Raises:
      ConfigError: an unknown part or parameter.
      ValueError: no action, or one whose sites are coupled otherwise, an odd extent, or a flow that cannot live on odd sites alone
        or is a `conditioned` one.
    """
    if action is None:
        raise ValueError("action is missing: give the one whose even sites are integrated out, such as action=action.component")
    target = ACTIONS.build(action, lattice)
    if (site := target.site_potential) is None:
        raise ValueError(f"the even sites of the action {target.name!r} cannot be integrated out: take another flow")
    if lattice.whole is not lattice:
        raise ValueError(f"the even sites of {lattice!r} are integrated out already: use another flow inside of marginalized")
    flow = FLOWS.build(of, OddSites(lattice), seed)
    check_unconditioned(flow, "marginalized")
    bijector = tfp.bijectors.Chain([EvenSites(lattice, *site), OnOddSites(lattice, flow.bijector)])
    return Flow(lattice, NormalEvenSites(flow.prior), bijector, _of_lattice(flow.equivariance))


class _OddSitesAction(Action):
    """`S_odd`, of fields on odd sites."""

    name: ClassVar[str] = "odd_sites"

    def __init__(self, lattice: OddSites, even: EvenSites):
        super().__init__(lattice)
        self._even = even

    def __call__(self, phi: tf.Tensor) -> tf.Tensor:
        a, b = self._even.site_potential
        squared = tf.cast(phi, tf.float64) ** 2
        return tf.reduce_sum(squared * (a + b * squared), self.lattice.axes) - self._even.integrated_out(phi)


def without_even_sites(flow: Flow, action: Action) -> tuple[Flow, Action, Callable[[tf.Tensor], tf.Tensor]]:
    """Leaves out the even sites of a marginalized flow, on which its importance weights do not depend.

    Args:
      flow: any flow.
      action: the target.

    Returns:
      The flow of the odd sites with the same variables, `S_odd`, and the function from fields or prior samples to those of the odd
      sites. Of another flow, and of another action than the flow's own, whose even sites do not drop out: the two as they are, and
      the identity.
    """
    if isinstance(flow.prior, NormalEvenSites):
        even, of_odd = flow.bijector.bijectors
        if even.site_potential == action.site_potential:
            sites, d = OddSites(flow.lattice), flow.lattice.d
            return Flow(sites, flow.prior.odd, of_odd.bijector), _OddSitesAction(sites, even), lambda phi: split(phi, d)[1]
    return flow, action, lambda phi: phi


def _of_lattice(symmetries: frozenset[str]) -> frozenset[str]:
    """Symmetries of the whole lattice that a map of the odd sites has. Couplings of every other row of these have fewer of them."""
    if "translation" in symmetries:
        return symmetries - {"translation"} | {"even translation"}
    left = {"even translation": {"translation by 2"}, "rotation": set()}
    return frozenset().union(*(left.get(symmetry, {symmetry}) for symmetry in symmetries))


def for_action(flow: Component, action: Component) -> Component:
    """The flow with an action for every part that takes one and has none."""
    parameters = dict(FLOWS.completed(flow).parameters)
    of_actions, of_flows = (FLOWS.parameters_of(flow.name, registry) for registry in (ACTIONS, FLOWS))
    for name, value in parameters.items():
        if name in of_actions and value is None:
            parameters[name] = action
        elif name in of_flows and isinstance(value, Component):
            parameters[name] = for_action(value, action)
    return Component(name=flow.name, **parameters)
