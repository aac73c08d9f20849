"""How far two comparisons of the same methods on different worlds agree: Spearman's correlation of the changes over
the arms that both have, and how many gains are clear in both, in one, or turn into a clear loss.

    python benchmarks/agreement_of_worlds.py docs/methods_study.md docs/methods_study_second_world.md

It reads the tables that ``trueline study run`` writes into ``report.md``, which those pages hold.
"""

import argparse
import re
from collections import Counter
from pathlib import Path

from scipy.stats import spearmanr

CHANGE = re.compile(r"\(([+-][\d.e+-]+) \[([+-][\d.e+-]+), ([+-][\d.e+-]+)\]")
Arm = tuple[str, str]
Change = tuple[float, float, float]  # value, low, high


def changes(page: Path) -> dict[str, dict[Arm, Change]]:
    """Of each column of a page's main tables, the changes by method and strength. Other tables of the page, of other
    budgets and smaller, have fewer columns."""
    found: dict[str, dict[Arm, Change]] = {}
    lines = page.read_text().splitlines()
    heads = [line for line in lines if line.startswith("| method | strength | gold_reward")]
    widest, columns = max(heads, key=len), list[str]()
    for line in lines:
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if line.startswith("| method | "):
            columns = cells[2:] if line == widest else []
        elif line.startswith("| ") and len(cells) == len(columns) + 2:
            for column, cell in zip(columns, cells[2:]):
                if match := CHANGE.search(cell):
                    value, low, high = map(float, match.groups())
                    found.setdefault(column, {})[cells[0], cells[1]] = (value, low, high)
    return found


def sign(change: Change) -> int:
    """1 or −1 where the interval excludes zero, else 0."""
    return (change[1] > 0) - (change[2] < 0)


def main() -> None:
    """A line a column."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", type=Path, nargs=2)
    one, other = (changes(page) for page in parser.parse_args().pages)
    for column in (column for column in one if column in other):
        arms = [arm for arm in one[column] if arm in other[column]]
        pairs = [(one[column][arm], other[column][arm]) for arm in arms]
        rho = float(spearmanr([a[0] for a, _ in pairs], [b[0] for _, b in pairs])[0])
        signs = Counter((sign(a), sign(b)) for a, b in pairs)
        alike = signs[1, 1] + signs[-1, -1]
        alone = [sum(n for (a, b), n in signs.items() if (a, b)[i] and not (a, b)[1 - i]) for i in (0, 1)]
        opposed = signs[1, -1] + signs[-1, 1]
        print(
            f"{column}: {len(arms)} arms, Spearman {rho:.2f}; clear on both {alike}, on the first alone {alone[0]}, "
            f"on the second alone {alone[1]}, opposed {opposed}"
        )


if __name__ == "__main__":
    main()
