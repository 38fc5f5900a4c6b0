"""The commands: flags, one call, exit code. In an installed package they are `lattice_flows.scripts`."""
