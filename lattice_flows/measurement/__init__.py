"""From configurations to numbers with errors. `errors`, `result` and `tables` need no TensorFlow, so nothing is imported here."""
