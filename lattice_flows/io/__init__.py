"""Everything that reads or writes files: runs, arrays, ensembles. No TensorFlow."""
