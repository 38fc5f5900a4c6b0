"""Configurations become models, trainings and trained flows in run folders: they are taken apart here and nowhere below."""

from lattice_flows.pipeline.models import build_model, completed
from lattice_flows.pipeline.trained import (
    Trained,
    as_pretrained,
    open_trained,
    recorded_config,
    start_from_pretrained,
    start_run,
)
from lattice_flows.pipeline.trainings import train_model, train_run

__all__ = [
    "Trained",
    "as_pretrained",
    "build_model",
    "completed",
    "open_trained",
    "recorded_config",
    "start_from_pretrained",
    "start_run",
    "train_model",
    "train_run",
]
