"""How quantities are called on the page: the words of the field, and one symbol each."""

from markupsafe import Markup, escape

__all__ = ["MINUS", "TEX", "TIMES", "label", "symbol", "words"]

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"

# Observable -> its symbol in HTML, and in figures.
_SYMBOLS = {
    "magnetization": ("⟨<i>M</i>⟩", r"$\langle M\rangle$"),
    "absolute_magnetization": ("⟨|<i>M</i>|⟩", r"$\langle|M|\rangle$"),
    "phi_squared": ("⟨φ<sup>2</sup>⟩", r"$\langle\phi^2\rangle$"),
    "phi_fourth": ("⟨φ<sup>4</sup>⟩", r"$\langle\phi^4\rangle$"),
    "two_point_susceptibility": ("χ<sub>2</sub>", r"$\chi_2$"),
    "ising_energy": ("<i>E</i>", "$E$"),
    "binder_cumulant": ("<i>U</i><sub>4</sub>", "$U_4$"),
    "second_moment_correlation_length": ("ξ", r"$\xi$"),
    "pole_mass": ("<i>m<sub>p</sub></i>", "$m_p$"),
    "pole_mass_times_l": ("<i>m<sub>p</sub>L</i>", "$m_p L$"),
    "action_density": ("⟨<i>S</i>⟩/<i>V</i>", r"$\langle S\rangle/V$"),
    "tau_int": ("τ<sub>int</sub>", r"$\tau_{\mathrm{int}}$"),
    "log_z": ("log <i>Z</i>", r"$\log Z$"),
}
# Short forms in the headers of tables of text.
_SHORT = {
    "chi_2": "two_point_susceptibility",
    "m_p L": "pole_mass_times_l",
    "log Z": "log_z",
    "tau_int": "tau_int",
}

# What names in code cannot say.
_SPELLED = {
    "two point": "two-point",
    "second moment": "second-moment",
    "non finite": "non-finite",
    "ising": "Ising",
    "binder": "Binder",
    "schwinger dyson": "Schwinger-Dyson",
    "times l": "times L",
    "tau int": "tau_int",
    "log z": "log Z",
    "k hat": "k-hat",
    "r hat": "R-hat",
    "ess of": "ESS of",
    "exp minus dh": "exp(-dH)",
}

TEX = {name: tex for name, (_, tex) in _SYMBOLS.items()}
"""Observable -> its symbol in figures."""


def symbol(name: str) -> Markup:
    """The symbol of a quantity, by its name or the short form of a table's header; the name itself where it has none."""
    name = _SHORT.get(name, name)
    return Markup(_SYMBOLS[name][0]) if name in _SYMBOLS else escape(name)


def words(name: str) -> str:
    """The name of a quantity in code, in words."""
    name = name.replace("_", " ")
    for code, spelled in _SPELLED.items():
        name = name.replace(code, spelled)
    return name


def label(name: str) -> Markup:
    """The name of an observable in words, followed by its symbol."""
    shown = Markup(' <span class="symbol">{}</span>').format(symbol(name)) if name in _SYMBOLS else Markup("")
    return escape(words(name)) + shown
