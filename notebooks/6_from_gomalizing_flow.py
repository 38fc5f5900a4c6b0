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
# # From GomalizingFlow.jl to here
#
# [GomalizingFlow.jl](https://github.com/AtelierArith/GomalizingFlow.jl) ([arXiv:2208.08903](https://arxiv.org/abs/2208.08903))
# trains flows for $\phi^4$ theory from TOML files. Here are its configuration keys, commands and outputs, each with its
# counterpart, and one of its runs from the TOML file to the Green's function.
#
# ## Commands
#
# | GomalizingFlow.jl | here |
# |---|---|
# | `julia begin_training.jl cfgs/example2d.toml` | `lattice-flows convert example2d.toml --out example2d.yaml`, then |
# | | `lattice-flows train --config example2d.yaml --out runs/example2d` |
# | `--device 0` | `--device gpu:0`; `cpu` is the default |
# | `--pretrained trained_model.bson` | `--init_from runs/another`, also from a lattice of another size |
# | `julia watch.jl cfgs/example2d.toml` | `lattice-flows watch runs/example2d` |
# | `GomalizingFlow.restore("result/example2d")` | `lf.load("runs/example2d")` |
# | notebook `analysis_tool` | `lattice-flows measure`, `lattice-flows report`, and the notebook on the analysis of an ensemble |
# | notebook `hmc` | `lattice-flows baseline --sampler hmc --config example2d.yaml --out runs/hmc` |
# | notebook `compare_training_log` | `lattice-flows report runs/one runs/other` |
# | notebooks `3d_flow_3C2`, `4d_flow_4C1`, ... | `network: {name: combinational, axes: 2}` in the configuration |
#
# ## A configuration
#
# This is `example2d.toml`, $8 \times 8$ at $m^2 = -4$, $\lambda = 8$, with 4 epochs of 100 steps in place of 200 epochs so that
# the notebook is quick.

# %%
# %matplotlib inline
import os
import tempfile
from pathlib import Path

import numpy as np

import lattice_flows as lf

os.chdir(tempfile.mkdtemp())
_ = Path("example2d.toml").write_text(
    """
[config]
version = "0.1.0"

[device]
device_id = -1

[training]
seed = 12345
batchsize = 64
epochs = 4
iterations = 100
base_lr = 0.001
opt = "Adam"
prior = "Normal{Float32}(0.f0, 1.f0)"
lr_scheduler = ""
pretrained = ""

[physical]
L = 8
Nd = 2
M2 = -4.0
lam = 8.0

[model]
seed = 2021
n_layers = 16
hidden_sizes = [8, 8]
kernel_size = 3
inC = 1
outC = 2
use_final_tanh = true
use_bn = false
""",
    encoding="utf-8",
)

# %% [markdown]
# `convert` says for every key what it has become, and writes this into the file as well. A key that it does not know, and a
# value that has no counterpart, is an error.

# %%
# !lattice-flows convert example2d.toml --out example2d.yaml

# %%
print(Path("example2d.yaml").read_text(encoding="utf-8").split("\n\n", 1)[1])

# %% [markdown]
# Nothing is hidden in the conversion: the action is the same, without 1/2 and 1/4!, and so are masks, network and initial
# weights. Random numbers are not. All cases of that package, in two to four dimensions, come with this one: `lattice-flows
# train --config gomalizing_flow/3d_L8_symmetric`.
#
# ## Training
#
# On a terminal this shows bars; through `cat` it writes lines.

# %%
# !lattice-flows train --config example2d.yaml --out runs/example2d | cat

# %% [markdown]
# ## What a run leaves
#
# | `result/example2d/` there | `runs/example2d/` here |
# |---|---|
# | `config.toml` | `config.yaml` |
# | `evaluations.csv`: epoch, loss, ess, acceptance_rate, elapsed_time, ... | `metrics.csv`: step, loss, ess, acceptance, ... |
# | `trained_model_best_ess.bson` | `weights.npz`, of the smallest Kullback-Leibler divergence |
# | `trained_model.bson` | `checkpoints/`, from which `--resume` goes on, bit for bit |
# | `history.bson`: x, logq, logp, accepted | `ensemble.h5`: phi, log_weight, accepted, and what was measured |
# | `Manifest.toml`, `Project.toml`, `src/` | `environment.json`: versions, machine, command |
#
# One epoch there is one evaluation here. ESS and acceptance here come from 8192 fresh samples; there, ESS from one batch of 64.

# %%
for path in sorted(Path("runs/example2d").glob("*")):
    print(path)
history = np.genfromtxt("runs/example2d/metrics.csv", delimiter=",", names=True)
lf.plots.training_history({"example2d": [history]}, "example2d.toml, 4 epochs")

# %% [markdown]
# ## From the model to the Green's function
#
# There:
#
# ```julia
# trained_model, history = GomalizingFlow.restore("result/example2d")
# cfgs = Flux.MLUtils.batch(history[:x][2000:end])
# y = [GomalizingFlow.mfGc(cfgs, t) for t in 0:hp.pp.L]
# ```
#
# Here a chain of any length is drawn from the weights. `mfGc(cfgs, t)`, the mean of the connected two-point function over sites
# and over separations in space, is the zero-momentum Green's function $\tilde G_c(0, t)$ of arXiv:1904.12072 that every result
# has; here it has errors, and is averaged over both choices of the time axis.

# %%
flow, action = lf.load("runs/example2d")
ensemble = lf.sample(flow, action, 20_000, progress=False)
result = lf.measure(ensemble)
print(f"acceptance {result.chain['acceptance']:.2f}, ESS {result.chain['ess']:.2f}")
print(result.conclusion)

# %%
hmc = lf.measure(lf.baseline(action, chains=64, updates=1000, thinning=4, thermalisation=200, progress=False))
lf.plots.zero_momentum_green({"flow": result.zero_momentum_green, "HMC": hmc.zero_momentum_green}, "example2d")


# %%
def mf_gc(phi, t):
    """As in GomalizingFlow.jl, for fields [n, L, L], the time along the last axis."""
    shifted = [np.roll(phi, (-s, -t), axis=(1, 2)) for s in range(phi.shape[1])]
    return np.mean([np.mean(phi * other, axis=0) - np.mean(phi, axis=0) * np.mean(other, axis=0) for other in shifted])


phi = ensemble.phi[:, 0].astype(np.float64)
for t in range(5):
    green = result.zero_momentum_green[t]
    print(f"t = {t}:  mfGc {mf_gc(phi, t):.5f}   here {green}")

# %% [markdown]
# After four epochs the acceptance is far from what a full training reaches, and the errors know it. With the flow of this
# package, the same ensemble takes a minute: `lattice-flows train --config example2d.yaml --flow affine --out runs/affine`.
