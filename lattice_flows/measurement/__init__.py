"""From configurations to numbers with errors."""
