"""The reproduction of arXiv:1904.12072."""
