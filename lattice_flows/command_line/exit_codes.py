"""What a command says to the shell by its exit code. No TensorFlow."""

__all__ = ["AGREED", "BUG", "INTERRUPTED", "MEANING", "NOT_TRUSTWORTHY", "UNUSABLE", "of"]

AGREED = 0
NOT_TRUSTWORTHY = 1
UNUSABLE = 2
INTERRUPTED = 3
BUG = 70  # EX_SOFTWARE of sysexits.h

MEANING = {
    AGREED: "finished: what is compared agrees, and no error is called untrustworthy",
    NOT_TRUSTWORTHY: "finished, but a number disagrees with its reference or cannot be trusted",
    UNUSABLE: "an input or a file cannot be used; one line on standard error says why",
    INTERRUPTED: "interrupted by Ctrl-C or SIGTERM; what was done is saved where the command has --resume",
    BUG: "a bug in lattice_flows, or in a part of your own",
}


def of(passed: bool | None) -> int:
    """The exit code for a result: whether it is trusted and agrees; None if it is trusted and nothing was compared."""
    return NOT_TRUSTWORTHY if passed is False else AGREED
