"""The smallest flows that a training can have: they compile in a second or two."""

import csv
import io

import numpy as np
from rich.console import Console

from lattice_flows.actions import ScalarPhi4
from lattice_flows.bijectors import FourierScaling
from lattice_flows.config import Component, TrainingConfig
from lattice_flows.flows import Flow, assign, continuous
from lattice_flows.io.runs import RunDirectory
from lattice_flows.lattice import Lattice
from lattice_flows.priors import normal
from lattice_flows.progress import Progress
from lattice_flows.training.trainer import train

LATTICE = Lattice((4, 4))
ACTION = ScalarPhi4(LATTICE, m2=0.5, lam=0.5)
ADAM = {"optimizer": Component(name="adam"), "gradient": "reparameterisation"}


def gaussian_flow(lattice=LATTICE):
    """Gaussian fields with a spectrum that is trained; they start too narrow."""
    flow = Flow(lattice, normal(lattice), FourierScaling(lattice))
    for variable in flow.variables:
        variable.assign_sub(np.full(variable.shape, 2.0))
    return flow


def coarse_flow(lattice=LATTICE, steps=1):
    """A differential equation in so few steps that training soon exploits the error of its integration."""
    return continuous(lattice, features=2, knots=2, steps=steps, integrator="rk4")


def settings(**changes):
    """A short training: 40 steps with four evaluations."""
    return TrainingConfig(**{"steps": 40, "evaluate_every": 10, "batch_size": 16, "learning_rate": 0.1, **changes})


def weights_of(flow):
    """All weights by name, as arrays."""
    return {name: variable.numpy() for name, variable in flow.named_variables().items()}


def restarted(flow, weights, steps=None):
    """The same flow, fresh, at given weights and integration steps, so that its compiled samplers serve once more."""
    assign(flow.named_variables(), weights)
    flow.trained_steps = None
    flow.set_integration_steps(steps or flow.integration_steps)
    return flow


class Training:
    """Trains in a folder, and keeps what progress shows."""

    def __init__(self, folder):
        self.folder, self.text = folder, io.StringIO()

    def __call__(self, flow, action=ACTION, changed=None, record=None, strategy=None, **changes):
        self.folder.mkdir(exist_ok=True)
        run, progress = RunDirectory(self.folder, False, changed), Progress(Console(file=self.text, width=400))
        return train(flow, action, settings(**changes), run=run, progress=progress, record=record, strategy=strategy)

    @property
    def output(self):
        return self.text.getvalue()

    @property
    def metrics(self):
        return self._rows("metrics.csv")

    @property
    def steps(self):
        return self._rows("steps.csv")

    def _rows(self, name):
        rows = csv.DictReader((self.folder / name).read_text().splitlines())
        return [{name: float(value) for name, value in row.items() if name != "seconds"} for row in rows]
