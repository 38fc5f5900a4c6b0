"""Single keys with their values, as commands are given them."""

import pytest

from lattice_flows.config import CONFIGS, ConfigError, load
from lattice_flows.config.keys import one_of_each

OF_A_CHAIN = ("chain", "samplers")


def test_a_name_does_not_drop_the_options_that_were_given_before_it():
    for texts in (["chain.sampler.slices=7", "chain.sampler.name=annealed"], ["chain.sampler.slices=7", "chain.sampler=annealed"]):
        for ordered in (texts, texts[::-1]):
            sampler = load(CONFIGS / "E1.yaml", *one_of_each(ordered, "--set", OF_A_CHAIN)).chain.sampler
            assert (sampler.name, sampler.parameters) == ("annealed", {"slices": 7})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flow.layers=2", "--set has the key flow.layers: here it may be one of chain, samplers"),
        ("chain.length=2,3", "--set has 2 values for chain.length: give one"),
        ("chain.length", "--set has the value 'chain.length': give a key"),
    ],
)
def test_what_is_no_key_of_a_chain_with_one_value(text, message):
    with pytest.raises(ConfigError, match=message):
        one_of_each([text], "--set", OF_A_CHAIN)
