"""Figures. Every function returns a matplotlib figure, which `save` writes; only `animation` writes its file. No TensorFlow.

```python
from lattice_flows.measurement.errors import Estimate

green = {"flow": [Estimate(0.059, 3e-5), Estimate(0.032, 4e-5), Estimate(0.019, 4e-5)]}
figure = lf.plots.zero_momentum_green(green, "E1")
```
"""

from lattice_flows.plots.chains import autocorrelation_function, autocorrelation_times, rejection_histogram
from lattice_flows.plots.configurations import configuration, configurations
from lattice_flows.plots.correlators import effective_mass, zero_momentum_green
from lattice_flows.plots.films import Film, animation
from lattice_flows.plots.observables import against_coupling, errors_against_number, observables_against_extent
from lattice_flows.plots.style import save
from lattice_flows.plots.training import quality_against, training_history
from lattice_flows.plots.volume import reach
from lattice_flows.plots.weights import action_against_log_q, log_weight_histogram

__all__ = [
    "Film",
    "action_against_log_q",
    "against_coupling",
    "animation",
    "autocorrelation_function",
    "autocorrelation_times",
    "configuration",
    "configurations",
    "effective_mass",
    "errors_against_number",
    "log_weight_histogram",
    "observables_against_extent",
    "quality_against",
    "reach",
    "rejection_histogram",
    "save",
    "training_history",
    "zero_momentum_green",
]
