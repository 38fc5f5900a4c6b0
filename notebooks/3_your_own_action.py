# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own action
#
# An action is a class with a name and a value. Training, sampling with a flow, hybrid Monte Carlo (HMC), measuring and the
# checks follow from these alone. The example is a theory that the package does not have: a $\phi^6$ term, and a quartic
# coupling that may then be negative,
#
# $$S = \sum_x \left[(m^2 + 2d)\,\phi_x^2 + \lambda\,\phi_x^4 + \kappa\,\phi_x^6\right] - 2 \sum_{x,\mu} \phi_x \phi_{x+\mu}.$$

# %%
# %matplotlib inline
import lattice_flows as lf  # first, so that TensorFlow is quiet
import numpy as np
import tensorflow as tf


# %%
class PhiSix(lf.actions.Action):
    """A scalar field with quartic and sextic self-interactions."""

    name = "phi_six"

    def __init__(self, lattice, *, m2: float, lam: float, kappa: float):
        super().__init__(lattice, m2=m2, lam=lam, kappa=kappa)

    def __call__(self, phi):
        """Maps fields [batch, *lattice] to their actions [batch], in float64."""
        m2, lam, kappa = (self.parameters[name] for name in ("m2", "lam", "kappa"))
        squared = phi * phi
        neighbours = tf.add_n([tf.roll(phi, -1, axis) for axis in self.lattice.axes])
        density = squared * (m2 + 2 * self.lattice.d + squared * (lam + squared * kappa)) - 2 * phi * neighbours
        return tf.reduce_sum(tf.cast(density, tf.float64), self.lattice.axes)

    def time_series(self, phi, general):
        """What is measured on each field [n, *lattice]: the usual series, and one more."""
        return super().time_series(phi, general) | {"phi_sixth": np.mean(phi**6, axis=self.lattice.axes)}


# %% [markdown]
# The second method is optional: the mean of each series that it returns becomes an observable with an error. One line registers
# the action, so that configurations and ensembles on disk can name it. In the package it would be a file in
# `lattice_flows/actions/`.

# %%
lf.actions.ACTIONS["phi_six"] = PhiSix
lattice = lf.Lattice((6, 6))
action = PhiSix(lattice, m2=1.0, lam=-1.0, kappa=1.0)
action

# %% [markdown]
# A test that costs nothing: with $\kappa = 0$ it is the action that comes with the package.

# %%
phi = tf.constant(np.random.default_rng(1).normal(size=(5, 6, 6)))
usual = lf.ScalarPhi4(lattice, m2=1.0, lam=2.0)
np.testing.assert_allclose(PhiSix(lattice, m2=1.0, lam=2.0, kappa=0.0)(phi), usual(phi))
np.testing.assert_allclose(PhiSix(lattice, m2=1.0, lam=2.0, kappa=0.0).force(phi), usual.force(phi))

# %% [markdown]
# ## Train, sample, measure
#
# The default flow makes no use of the action's form.

# %%
flow = lf.flows.affine(lattice)
summary = lf.train(flow, action, steps=100, progress=False)
ensemble = lf.sample(flow, action, 30_000, progress=False)
result = lf.measure(ensemble)
print(f"ESS {summary.ess:.3f}, acceptance {summary.acceptance:.3f}")
print(result)

# %% [markdown]
# The Schwinger-Dyson equation $\langle \phi_x\, \partial S / \partial \phi_x \rangle = 1$ holds for every action, and tests the
# ensemble without knowing any answer. The force in it comes from automatic differentiation, and HMC takes its force from there,
# too. HMC needs a look at this theory: with its usual ten leapfrog steps, a trajectory lasts about half a period of the slowest
# mode and does little more than to change its sign, which the check `r_hat` finds doubtful. Five steps are a quarter of a
# period.

# %%
hmc = lf.measure(lf.baseline(action, chains=64, updates=1000, thinning=4, thermalisation=500, leapfrog_steps=5, progress=False))
result = result.compared({name: row.estimate for name, row in hmc.observables.items()})
for name in ("phi_squared", "phi_fourth", "phi_sixth", "two_point_susceptibility", "ising_energy", "action_density"):
    row = result.observables[name]
    print(f"{name:26} flow {row.estimate!s:14} HMC {row.reference!s:14} {row.pull:+.1f} sigma")
print(result.conclusion.splitlines()[-1])

# %% [markdown]
# ## What HMC cannot do: $\log Z$
#
# The mean weight of a flow's fields is the partition function itself. There is an exact bracket to hold it against: with the
# free field, $S_0$, as the reference and $\Delta S = S - S_0 = \sum_x (\lambda \phi_x^4 + \kappa \phi_x^6)$, convexity of the
# exponential (the Gibbs-Bogoliubov inequality) says
#
# $$-\langle \Delta S \rangle_0 \;\le\; \log Z - \log Z_0 \;\le\; -\langle \Delta S \rangle .$$
#
# Everything about the free field is known: $S_0 = \phi^T K \phi$ with the eigenvalues $m^2 + \sum_\mu 4 \sin^2(k_\mu / 2)$ of
# $K$.

# %%
m2, lam, kappa = action.parameters.values()
momenta = 2 * np.pi * np.arange(6) / 6
eigenvalues = m2 + np.add.outer(4 * np.sin(momenta / 2) ** 2, 4 * np.sin(momenta / 2) ** 2)
log_z_free = 0.5 * np.sum(np.log(np.pi / eigenvalues))
variance = np.mean(1 / (2 * eigenvalues))  # of the free field at a site, whose fourth moment is 3, whose sixth 15 of its powers

below = -lattice.volume * (lam * 3 * variance**2 + kappa * 15 * variance**3)
above = -lattice.volume * (lam * result.estimate("phi_fourth").value + kappa * result.estimate("phi_sixth").value)
found, error = result.chain["log_z"] - log_z_free, result.chain["log_z_error"]
print(f"{below:.4f} <= log Z - log Z_0 = {found:.4f} +- {error:.4f} <= {above:.4f}")
assert below < found < above

# %% [markdown]
# ## Your own observable
#
# What follows from means that are measured already needs no series of its own: a registered function is enough, and its error
# follows from their fluctuations.

# %%
from lattice_flows.measurement.observables import observable


@observable
def kurtosis(m):
    """`<phi^4> / <phi^2>^2`, which is 3 for a Gaussian field."""
    return m.mean("phi_4") / m.mean("phi_2") ** 2


print("kurtosis", lf.measure(ensemble).estimate("kurtosis"))
