"""From the logits of one step to the chosen tokens and their behaviour log-probabilities.

Shapes: S rows, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How the rows of a batch choose: ``temperature`` [S] (0 = greedy) and ``top_p`` [S].

    ``drawn`` holds the rows with a positive temperature, ``nucleus`` those of them with top_p below 1; both
    as indices, so that a greedy or untruncated row costs nothing for the others' sake. ``plain`` says that
    all rows are drawn at temperature 1 without truncation.
    """

    temperature: Tensor
    top_p: Tensor
    drawn: tuple[int, ...]
    nucleus: tuple[int, ...]
    plain: bool

    @classmethod
    def of(cls, temperature: list[float], top_p: list[float], device: torch.device) -> "Rule":
        """The rule of rows given one by one."""
        drawn = tuple(row for row, value in enumerate(temperature) if value > 0)
        nucleus = tuple(row for row in drawn if top_p[row] < 1)
        return cls(
            temperature=torch.tensor(temperature, device=device),
            top_p=torch.tensor(top_p, device=device),
            drawn=drawn,
            nucleus=nucleus,
            plain=not nucleus and all(value == 1 for value in temperature),
        )


def choose(
    logits: Tensor, rule: Rule, noise: Tensor | None, work: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Tokens [S] and their log-probabilities [S] (natural log, fp32).

    ``noise`` [rows drawn, V] is Exp(1). ``work`` [S, V], fp32, is overwritten, and spares an allocation that
    may cost more than the arithmetic. The log-probabilities are those of the model's own distribution:
    temperature 1, no truncation, whatever the rule. Top-p keeps the smallest set of most likely tokens, at
    the rule's temperature, whose probability reaches top_p (Holtzman et al. 2019, 1904.09751).
    """
    top = logits.amax(-1, keepdim=True).float()
    weights = torch.sub(logits, top, out=work).exp_()
    norm = weights.sum(-1).log_()
    if rule.plain:
        assert noise is not None, "rows with a temperature need noise"
        tokens = weights.div_(noise).argmax(-1)
    else:
        tokens = logits.argmax(-1)
        if rule.drawn:
            assert noise is not None, "rows with a temperature need noise"
            rows = torch.tensor(rule.drawn, device=logits.device)
            scaled = (logits[rows] - top[rows]).div_(rule.temperature[rows, None])
            if rule.nucleus:
                place = {row: at for at, row in enumerate(rule.drawn)}
                cut = torch.tensor([place[row] for row in rule.nucleus], device=logits.device)
                limits = rule.top_p[torch.tensor(rule.nucleus, device=logits.device)]
                scaled[cut] = _nucleus(scaled[cut], limits)
            tokens = tokens.index_copy(0, rows, scaled.exp_().div_(noise).argmax(-1))
    chosen = logits.gather(-1, tokens[:, None])[:, 0].float()
    return tokens, chosen - top[:, 0] - norm


def _nucleus(scaled: Tensor, top_p: Tensor) -> Tensor:
    """Logits [S, V] with every token outside the nucleus at -inf."""
    ordered, order = scaled.sort(dim=-1, descending=True)
    probability = ordered.softmax(-1)
    outside = probability.cumsum(-1) - probability >= top_p[:, None]
    outside[:, 0] = False
    return scaled.masked_fill(outside.scatter(-1, order, outside), float("-inf"))
