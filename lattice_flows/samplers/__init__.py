"""Markov chains with the exact distribution: state in, state and info out."""
