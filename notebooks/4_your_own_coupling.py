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
# # Your own coupling
#
# A coupling layer changes half of the sites, each by an invertible function whose parameters a network computes from the other
# half. In this package the mask, the network and the function, called the inner map, are independent of each other: a new
# coupling is a new inner map of a few lines.

# %%
# %matplotlib inline
import lattice_flows as lf  # first, so that TensorFlow is quiet
import numpy as np
import tensorflow as tf

# %% [markdown]
# ## The idea
#
# The affine map of real NVP, $y = x e^s + t$, scales and shifts. With it, a Gaussian site stays Gaussian as long as its
# neighbours stay the same. But sites of $\phi^4$ theory have the tails of $e^{-\lambda \phi^4}$, which are shorter. A map that
# bends them:
#
# $$y = e^s \sinh\left(e^a\, \mathrm{arsinh}\, x\right) + t, \qquad
# \log \left|\frac{dy}{dx}\right| = s + a + \log \cosh\left(e^a\, \mathrm{arsinh}\, x\right) - \tfrac12 \log(1 + x^2).$$
#
# For large $x$ it is a power law, $|y| \propto |x|^{e^a}$, and for $a = s = t = 0$ the identity.


# %%
class PowerLaw:
    """Scales, shifts and bends each site.

    The field's sign must not matter: under phi -> -phi, `parities` says, s and a stay and t changes its sign.
    """

    parities = ("even", "even", "odd")
    keeps_sign = True

    def forward(self, x, s, a, t):
        bent = tf.exp(a) * tf.asinh(x)
        return tf.exp(s) * tf.sinh(bent) + t, s + a + tf.math.log(tf.cosh(bent)) - 0.5 * tf.math.log1p(x * x)

    def inverse(self, y, s, a, t):
        x = tf.sinh(tf.exp(-a) * tf.asinh((y - t) * tf.exp(-s)))
        return x, -self.forward(x, s, a, t)[1]


x = tf.linspace(tf.constant(-2.0, tf.float64), 2.0, 5)
zero = tf.zeros_like(x)
print(PowerLaw().forward(x, zero, zero - 0.5, zero)[0].numpy().round(3))

# %% [markdown]
# ## Is it right?
#
# Two errors are possible: the inverse does not undo the map, or the logarithm of the slope is not that of the map. On a small
# lattice both can be seen directly, with the coupling that the flow will use and a network that is simple enough.

# %%
small = lf.Lattice((2, 4))


def network(frozen):
    neighbours = tf.add_n([tf.roll(frozen, step, axis) for axis in (1, 2) for step in (1, -1)])
    return 0.3 * neighbours**2, -0.1 * neighbours**2, 0.5 * neighbours


coupling = lf.bijectors.MaskedCoupling(network, active=small.parity() == 0, inner=PowerLaw())
z = tf.constant(np.random.default_rng(1).normal(size=(3, 2, 4)))
with tf.GradientTape() as tape:
    tape.watch(z)
    phi = coupling.forward(z)
jacobian = tf.reshape(tape.batch_jacobian(phi, z), (3, 8, 8))
print("log det:  ", coupling.forward_log_det_jacobian(z, event_ndims=2).numpy())
print("Jacobian: ", np.linalg.slogdet(jacobian)[1])
print("there and back:", np.abs(coupling.inverse(tf.identity(phi)) - z).max())
np.testing.assert_allclose(coupling.forward_log_det_jacobian(z, event_ndims=2), np.linalg.slogdet(jacobian)[1], rtol=1e-10)
np.testing.assert_allclose(coupling.inverse(tf.identity(phi)), z, rtol=1e-10)

# %% [markdown]
# ## Is it better?
#
# One line registers it; a configuration would then say `flow: {name: affine, inner: {name: power_law}}`. The flow `affine` is a
# chain of couplings over a free field. Usually it has element-wise maps between them, which bend all sites in the same way;
# without these, the couplings must do it. Both flows get the same training.

# %%
lf.bijectors.INNER_MAPS["power_law"] = PowerLaw
action = lf.ScalarPhi4(lf.Lattice((6, 6)), m2=-4.0, lam=6.975)
flows, summaries = {}, {}
for inner in ("affine", "power_law"):
    flows[inner] = lf.flows.affine(action.lattice, layers=8, inner={"name": inner}, element_wise_maps=False)
    summaries[inner] = lf.train(flows[inner], action, steps=100, progress=False)
    found = summaries[inner]
    print(
        f"{inner:10} {found.parameters} parameters, {found.seconds:.0f} s: ESS {found.ess:.3f}, acceptance {found.acceptance:.3f}"
    )

# %%
log_weights = {}
for inner, flow in flows.items():
    phi, log_q = flow.sample_and_log_prob(8000, seed=[1, 2])
    log_weights[inner] = (-action(phi) - log_q).numpy()
lf.plots.log_weight_histogram(log_weights, "6 x 6, lam = 6.975")

# %% [markdown]
# ## And still exact?
#
# The Metropolis chain makes any flow exact, so both give the same physics, with different autocorrelations. The checks say how far
# the errors of either chain can be trusted.

# %%
# Chains of one seed share their noise, so those that are compared have seeds of their own.
results = {
    inner: lf.measure(lf.sample(flow, action, 20_000, seed=seed, progress=False))
    for seed, (inner, flow) in enumerate(flows.items(), 1)
}
bent = results["power_law"].compared(
    {name: row.estimate for name, row in results["affine"].observables.items()}, compared_with="affine"
)
for name in ("two_point_susceptibility", "ising_energy", "phi_fourth"):
    row = bent.observables[name]
    mine, theirs = row.estimate, row.reference
    print(f"{name:26} power law {mine!s:12} affine {theirs!s:12} {row.pull:+.1f} sigma")
    print(f"{'':26} tau_int   {mine.tau_int:<12.2f}        {theirs.tau_int:.2f}")
print(bent.conclusion.splitlines()[-1])
for inner, result in results.items():
    print(
        f"{inner:10}", {check.name: check.verdict for check in result.checks if check.verdict in ("doubtful", "bad")} or "all good"
    )
