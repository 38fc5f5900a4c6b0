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
# # First steps
#
# A normalizing flow learns to draw lattice fields from the action alone. Here it is trained, used, and checked against
# hybrid Monte Carlo (HMC), on a lattice small enough for all of this to take a minute.

# %%
# %matplotlib inline
import lattice_flows as lf
import numpy as np

# %% [markdown]
# ## The theory
#
# A real scalar field on a periodic lattice, with the action of [arXiv:1904.12072](https://arxiv.org/abs/1904.12072),
#
# $$S(\phi) = \sum_x \left[(m^2 + 2d)\,\phi_x^2 + \lambda\,\phi_x^4\right] - 2 \sum_{x,\mu} \phi_x \phi_{x+\mu}.$$
#
# Mind the conventions: there is no factor 1/2 and no 1/4!. With $m^2 = -4$ and $\lambda = 6.975$ on a $6 \times 6$ lattice this
# is the ensemble E1 of that paper, in the symmetric phase, with $m_p L \approx 4$.

# %%
lattice = lf.Lattice((6, 6))
action = lf.ScalarPhi4(lattice, m2=-4.0, lam=6.975)
action

# %% [markdown]
# ## The flow
#
# The flow draws Gaussian noise and maps it to a field. Both steps have known densities, so it knows how probable it made its own
# field: `log_q`. An action takes a batch of fields, and so does everything else; the first axis is the batch.

# %%
flow = lf.flows.affine(lattice)
phi, log_q = flow.sample_and_log_prob(4, seed=[1, 2])
print(flow)
print("fields:", phi.shape, "  log q:", log_q.numpy().round(2), "  S:", action(phi).numpy().round(2))

# %% [markdown]
# Before the training its fields have nothing to do with the theory. The importance weights $e^w$ with $w = -S - \log q$ say how
# little: the effective sample size (ESS) is the share of samples that would be worth as much if they were exact.


# %%
def ess_of(flow, n=4000):
    phi, log_q = flow.sample_and_log_prob(n, seed=[3, 4])
    return lf.importance.effective_sample_size((-action(phi) - log_q).numpy())


print(f"ESS before the training: {ess_of(flow):.4f}")

# %% [markdown]
# ## Training
#
# No configurations are needed: the loss is $\langle \log q + S \rangle$ over the flow's own samples, which is the distance
# between $q$ and $e^{-S}/Z$ (the Kullback-Leibler divergence) minus $\log Z$. This flow has few parameters, and is trained with
# natural gradients, which need some hundred steps and no tuning.

# %%
summary = lf.train(flow, action, steps=100)
print(f"ESS {summary.ess:.3f}, acceptance {summary.acceptance:.3f}, after {summary.seconds:.0f} s of training")

# %% [markdown]
# ## Fields
#
# The noise, and what the trained flow makes of it. The noise is not white: this flow draws a free field, whose spectrum is trained,
# too.

# %%
z = flow.prior.sample(2, seed=[5, 6])
phi, _ = flow.push_forward(z)
lf.plots.configurations({"noise": z[0].numpy(), "field": phi[0].numpy(), "more noise": z[1].numpy(), "its field": phi[1].numpy()})

# %% [markdown]
# ## An exact sample
#
# $q$ is close to $e^{-S}/Z$, not equal to it. A Metropolis test makes it exact: each field of the flow is a proposal, and
# replaces the last one with the probability $\min(1, e^{w_\text{new} - w_\text{old}})$. Where weights are almost constant, almost
# all are accepted.

# %%
ensemble = lf.sample(flow, action, 20_000)
result = lf.measure(ensemble)
print(result)

# %% [markdown]
# Each row has a mean, its error in brackets, and the integrated autocorrelation time: 1/2 means that successive configurations
# are independent. Errors take autocorrelations into account. `schwinger_dyson` must be 1 at any coupling; further exact
# identities, and what else can be checked without knowing the answer, stand below the table.
#
# ## The same with HMC

# %%
hmc = lf.measure(lf.baseline(action, chains=64, updates=1000, thinning=4, thermalisation=200))
compared = result.compared({name: row.estimate for name, row in hmc.observables.items()})
for name, row in compared.observables.items():
    if row.pull is not None:
        print(f"{name:34} flow {row.estimate!s:14} HMC {row.reference!s:14} {row.pull:+.1f} sigma")
print()
print(compared.conclusion.splitlines()[-1])

# %%
lf.plots.zero_momentum_green({"flow": result.zero_momentum_green, "HMC": hmc.zero_momentum_green}, "6 x 6, lam = 6.975")

# %% [markdown]
# ## To keep it
#
# `lf.train(..., out="runs/my_flow")` writes a run folder, with the weights, the history and the configuration, which
# `lf.load("runs/my_flow")` reads. Weights come with the package, too. E5 is the largest ensemble of the paper, $14 \times 14$,
# and this is the flow `continuous`, a neural ordinary differential equation with all symmetries of the lattice:

# %%
flow, action = lf.load("E5", "continuous")
phi, log_q = flow.sample_and_log_prob(500, seed=[1, 2])
log_weight = (-action(phi) - log_q).numpy()
print(flow)
print(f"ESS {lf.importance.effective_sample_size(log_weight):.2f} of {len(log_weight)} samples")
lf.plots.configuration(phi[np.argmax(log_weight)].numpy(), "E5: the field with the largest weight")
