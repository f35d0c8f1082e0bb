# SPDX-License-Identifier: Apache-2.0
"""How tables write their rows and numbers."""

MIB = 1 << 20


def spread(estimate, digits=2):
    return f"{estimate.median:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def columns(*cells):
    return "| " + " | ".join(cells) + " |"


def head(*cells):
    return [columns(*cells), columns(*["---"] * len(cells))]
