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
# # Analysis of an ensemble
#
# How good is a flow, and what does its ensemble say? Everything here works for any flow and any ensemble, in memory or in a run
# folder; `lattice-flows measure` and `lattice-flows report` do the same from the command line. Beside the flow stands hybrid
# Monte Carlo (HMC).

# %%
# %matplotlib inline
import numpy as np

import lattice_flows as lf
from lattice_flows.measurement.autocorrelation import autocorrelation_function

# %% [markdown]
# The ensemble E1 of [arXiv:1904.12072](https://arxiv.org/abs/1904.12072), $6 \times 6$ at $m^2 = -4$, $\lambda = 6.975$, with the
# weights that come with the package:

# %%
flow, action = lf.load("E1")
chain = lf.sample(flow, action, 50_000, progress=False)
hmc_chain = lf.baseline(action, chains=64, updates=1000, thinning=1, thermalisation=200, leapfrog_steps=10, progress=False)
flow, action, chain, hmc_chain

# %% [markdown]
# ## The action against $-\log q$
#
# A perfect flow has $q = e^{-S} / Z$, so that $S = -\log q - \log Z$: all its fields lie on a line of slope one. The ancestor
# of this plot is the one of GomalizingFlow.jl and of the tutorial arXiv:2101.08176.

# %%
phi, log_q = flow.sample_and_log_prob(4000, seed=[1, 2])
S, log_q = action(phi).numpy(), log_q.numpy()
lf.plots.action_against_log_q(S, log_q, "E1")

# %% [markdown]
# Two fits. With the slope fixed to one, the intercept is $\langle S \rangle - \langle -\log q \rangle$, which is $-\log Z$ plus
# the Kullback-Leibler divergence from $q$ to the target: always a bit above $-\log Z$. A free slope should come out as one.

# %%
log_weight = -S - log_q
log_z, log_z_error = lf.importance.log_z(log_weight)
slope, intercept = np.polyfit(-log_q, S, 1)
print(f"slope one:  S = -log q + ({np.mean(S + log_q):.4f})")
print(f"free slope: S = {slope:.4f} (-log q) + ({intercept:.4f})")
print(f"-log Z = {-log_z:.4f} +- {log_z_error:.4f}, Kullback-Leibler divergence {np.mean(S + log_q) + log_z:.4f}")

# %% [markdown]
# The weights themselves, and the numbers that follow from them: the effective sample size, the acceptance of the Metropolis
# chain, and the tail index $\hat k$, which says whether a mean over weights has a finite variance at all (below 0.5) and can be
# trusted (below 0.7).

# %%
k_hat, k_hat_error = lf.importance.k_hat(log_weight)
print(f"ESS {lf.importance.effective_sample_size(log_weight):.3f}")
print(f"expected acceptance {lf.importance.expected_acceptance(log_weight):.3f}")
print(f"k-hat {k_hat:.2f} +- {k_hat_error:.2f}")
lf.plots.log_weight_histogram({"E1": log_weight}, "E1")

# %% [markdown]
# ## Observables
#
# One call measures all of them, with errors that know of the autocorrelations (the Gamma method, hep-lat/0306017).

# %%
result, hmc = lf.measure(chain), lf.measure(hmc_chain)
result = result.compared({name: row.estimate for name, row in hmc.observables.items()})
for name in ("two_point_susceptibility", "ising_energy", "absolute_magnetization", "binder_cumulant", "pole_mass_times_l"):
    row = result.observables[name]
    print(f"{name:26} chain {row.estimate!s:12} reweighted {row.reweighted!s:12} HMC {row.reference!s:12} {row.pull:+.1f} sigma")

# %% [markdown]
# The chain of the flow and the reweighted proposals hold the same fields, so they agree better than their errors say; HMC is
# independent. The paper's susceptibility is $\chi_2 = \sum_x G_c(x)$ and its Ising energy $E = \frac{1}{d} \sum_\mu
# G_c(\hat\mu)$, with the connected two-point function $G_c$.
#
# ## Green's function and effective mass
#
# $\tilde G_c(0, t)$ is the two-point function of the time slices' means. It falls like $\cosh[m_p (t - T/2)]$, and the effective
# mass of neighbouring times shows where that holds.

# %%
curves = {"flow": result.zero_momentum_green, "HMC": hmc.zero_momentum_green}
lf.plots.zero_momentum_green(curves, "E1")

# %%
masses = {"flow": result.estimate("pole_mass"), "HMC": hmc.estimate("pole_mass")}
lf.plots.effective_mass({"flow": result.effective_mass, "HMC": hmc.effective_mass}, masses, "E1")

# %% [markdown]
# ## Autocorrelation
#
# $\rho(t)$ of the magnetization along both chains. One update is a proposal of the flow, or a trajectory of HMC with 10
# leapfrog steps. HMC chains here are stored after every update; longer ones should be thinned.

# %%
magnetization = {"flow": chain.phi.mean(axis=(2, 3)), "HMC": hmc_chain.phi.mean(axis=(2, 3))}
rho = {label: autocorrelation_function(series, longest=20) for label, series in magnetization.items()}
lf.plots.autocorrelation_function(rho, "updates", "E1, magnetization")

# %%
for label, found in (("flow", result), ("HMC", hmc)):
    for name in ("magnetization", "two_point_susceptibility", "ising_energy"):
        estimate = found.estimate(name)
        print(f"{label:5} {name:26} tau_int = {estimate.tau_int:.2f} +- {estimate.tau_int_error:.2f} updates")
print(f"flow  from the accept decisions  tau_int = {result.chain['tau_int']:.2f}")

# %% [markdown]
# For a flow, the accept decisions alone give an estimate of the autocorrelation time (arXiv:1904.12072, eqs. 15 to 19); half means
# independence. Observables that are correlated with the weights are slower than it says.
#
# ## Rejections in a row
#
# Long runs of rejections are where a flow hurts: the chain waits at a field that the flow proposes too rarely.

# %%
lf.plots.rejection_histogram({"flow": (result.rejection_runs, len(chain))}, "E1")

# %% [markdown]
# ## Can it be trusted?
#
# A flow can miss a region, and then gives a wrong number with a small error. The checks compare what is known exactly, or twice.
# Each has a verdict: good, doubtful or bad.

# %%
for check in result.checks:
    print(f"{check.verdict:9} {check.name}")
print()
print(result.conclusion)
