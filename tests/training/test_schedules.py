"""Learning rates against the step."""

import numpy as np
import pytest
from small import settings

from lattice_flows.config import ConfigError
from lattice_flows.training.schedules import learning_rate_schedule


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"name": "constant"}, [0.2, 0.2, 0.2]),
        ({"name": "cosine"}, [0.2, 0.1, 0.0]),
        ({"name": "steps", "boundaries": [10, 30], "factor": 0.5}, [0.2, 0.1, 0.05]),
    ],
)
def test_learning_rate_schedules(schedule, expected):
    rate = learning_rate_schedule(settings(learning_rate=0.2, schedule=schedule))
    np.testing.assert_allclose([float(rate(step)) for step in (0, 20, 40)], expected, atol=1e-7)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"name": "steps"}, r"training.schedule.boundaries is empty: list the steps"),
        ({"name": "steps", "boundaries": [30, 10]}, r"training.schedule.boundaries must ascend, got \[30, 10\]"),
        (
            {"boundaries": [10, 30]},
            r"has boundaries \[10, 30\], which mean nothing to 'cosine': give name: steps, or leave them out",
        ),
    ],
)
def test_boundaries_that_cannot_be_meant_are_refused(schedule, message):
    with pytest.raises(ConfigError, match=message):
        learning_rate_schedule(settings(schedule=schedule))
