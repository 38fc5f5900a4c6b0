"""Training a flow on the chosen devices: losses, gradient estimators, optimisers, and the loop around them."""

from lattice_flows.training.devices import DeviceError, choose_strategy
from lattice_flows.training.objectives import ESTIMATORS, LOSSES
from lattice_flows.training.optimizers import OPTIMIZERS
from lattice_flows.training.state import Summary
from lattice_flows.training.step import TrainingStep
from lattice_flows.training.stopping import TrainingDiverged
from lattice_flows.training.trainer import Trainer, train

__all__ = [
    "ESTIMATORS",
    "LOSSES",
    "OPTIMIZERS",
    "DeviceError",
    "Summary",
    "Trainer",
    "TrainingDiverged",
    "TrainingStep",
    "choose_strategy",
    "train",
]
