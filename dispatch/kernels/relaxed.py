"""A linear programme by steps of gradients: primal-dual hybrid gradients with restarts at the average.

Chambolle and Pock, doi:10.1007/s10851-010-0251-1; step sizes per row and column: Pock and Chambolle,
doi:10.1109/ICCV.2011.6126441; restarts and the weight between both sides: Applegate et al., doi:10.48550/arXiv.2106.04756.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TINY = 1e-12
LONG = 20  # spans after which they grow
WIDEST = 1e5  # weights stay within this and its inverse


class Programme(NamedTuple):
    """Minimise ``cost @ x`` with ``low <= A x <= high`` and ``x >= 0``; A by columns: ``rows[ptr[j]:ptr[j + 1]]``."""

    ptr: Ints
    rows: Ints
    coefficients: Floats
    cost: Floats
    low: Floats
    high: Floats


@njit(cache=True, nogil=True)
def steps(
    lp: Programme, x: Floats, y: Floats, weight: float, most: int, every: int, close: float
) -> tuple[float, float]:
    """Move x and prices y towards the optimum in place; return the weight between both sides and the dual value.

    After `every` steps (more and more later on) it starts anew from their average; it ends after `most` steps, or when cost,
    value of the prices and what both break (rows short or in excess, negative reduced costs times 1) lie within `close` of
    each other.
    """
    columns, height = len(lp.cost), len(lp.low)
    up, along = np.zeros(height), np.zeros(columns)
    for j in range(columns):
        total = 0.0
        for q in range(lp.ptr[j], lp.ptr[j + 1]):
            total += abs(lp.coefficients[q])
            up[lp.rows[q]] += abs(lp.coefficients[q])
        along[j] = 1.0 / max(total, TINY)
    for i in range(height):
        up[i] = 1.0 / max(up[i], TINY)
    x_sum, y_sum, x_then, y_then = np.zeros(columns), np.zeros(height), x.copy(), y.copy()
    ax, value, done = np.zeros(height), 0.0, 0
    while done < most:
        span = every * max(1, done // (LONG * every))  # longer and longer, or it may circle
        for _ in range(span):
            ax[:] = 0.0
            for j in range(columns):
                reduced = lp.cost[j]
                for q in range(lp.ptr[j], lp.ptr[j + 1]):
                    reduced -= lp.coefficients[q] * y[lp.rows[q]]
                new = max(0.0, x[j] - along[j] / weight * reduced)
                ahead = 2.0 * new - x[j]
                x[j] = new
                x_sum[j] += new
                if ahead != 0.0:
                    for q in range(lp.ptr[j], lp.ptr[j + 1]):
                        ax[lp.rows[q]] += lp.coefficients[q] * ahead
            for i in range(height):
                step = up[i] * weight
                goal = ax[i] - y[i] / step  # a row that could be here has no price
                if goal < lp.low[i]:
                    y[i] += step * (lp.low[i] - ax[i])
                elif goal > lp.high[i]:
                    y[i] += step * (lp.high[i] - ax[i])
                else:
                    y[i] = 0.0
                y_sum[i] += y[i]
        done += span
        moved_x, moved_y, cost, value, broken = 0.0, 0.0, 0.0, 0.0, 0.0
        ax[:] = 0.0
        for i in range(height):
            mean = y_sum[i] / span
            moved_y += (mean - y_then[i]) ** 2 / up[i]
            y[i], y_then[i], y_sum[i] = mean, mean, 0.0
            if mean > 0.0:
                value += mean * lp.low[i]
            elif mean < 0.0:
                value += mean * lp.high[i]
        for j in range(columns):
            mean = x_sum[j] / span
            moved_x += (mean - x_then[j]) ** 2 / along[j]
            x[j], x_then[j], x_sum[j] = mean, mean, 0.0
            cost += lp.cost[j] * mean
            reduced = lp.cost[j]
            for q in range(lp.ptr[j], lp.ptr[j + 1]):
                ax[lp.rows[q]] += lp.coefficients[q] * mean
                reduced -= lp.coefficients[q] * y[lp.rows[q]]
            broken -= min(0.0, reduced)
        for i in range(height):
            broken += abs(y[i]) * max(0.0, lp.low[i] - ax[i], ax[i] - lp.high[i])
        if abs(cost - value) + broken <= close * abs(value):
            break
        if moved_x > TINY and moved_y > TINY:
            weight = min(max(np.sqrt(weight * np.sqrt(moved_y / moved_x)), 1.0 / WIDEST), WIDEST)
    return weight, value
