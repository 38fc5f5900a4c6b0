"""Formulas: LaTeX becomes MathML when the site is built, which browsers show without scripts or fonts from elsewhere."""

import html
import re

from latex2mathml.converter import convert

__all__ = ["mathml", "on_page_content"]

# As `pymdownx.arithmatex` marks them.
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
_IN_HEADING = re.compile(r"\\\((.*?)\\\)")
# Functions, which need a thin space behind their factor, and before an argument without brackets.
_NAME = r"<mi>(?:log|exp|sin|cos|sinh|cosh|tanh|asinh|arccosh|det|min)</mi>"
_BETWEEN = re.compile(
    rf"(?<=</mi>|</mn>)(?={_NAME})|(?<=</msub>)(?={_NAME})|({_NAME})(?=<mi>|<msub>|<mfrac>|<mrow><mo [^>]*>&#x0007C;)"
)


def on_page_content(page_content, page, config, files):
    """Puts MathML in the place of LaTeX, in the table of contents too."""
    headings = list(page.toc)
    for heading in headings:
        heading.title = _IN_HEADING.sub(lambda match: mathml(html.unescape(match[1]), display=False), heading.title)
        headings += heading.children
    return _FORMULA.sub(lambda match: mathml(html.unescape(match[3]), display=match[2] == "["), page_content)


def mathml(latex: str, display: bool) -> str:
    """A formula as a MathML element, on a line of its own or within a text."""
    return _BETWEEN.sub(
        lambda match: f'{match[1] or ""}<mspace width="0.17em"/>', convert(latex.strip(), display="block" if display else "inline")
    )
