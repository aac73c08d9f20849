"""Personal data by pattern and checksum: what a model may memorise and give away (arXiv 2012.07805).

E-mail addresses, telephone numbers, payment cards (Luhn), IBANs (ISO 13616, mod 97), IP addresses, US social
security numbers. Addresses that are reserved for examples (RFC 2606, RFC 5737) and private or loopback IPs
are nobody's and pass. Names and postal addresses need a model and are not looked for.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from .answers import sides
from .finding import Check, Finding, percent
from .reading import Row

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b")
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.]\d)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_PHONE = re.compile(
    r"(?<![\w.+-])(?:\+\d{1,3}[ .-]?(?:\(0?\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){2,3}"
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}([.-])\d{3}\1\d{4})(?![\w-]|\.\d)"
)
_EXAMPLES = re.compile(r"(?:^|[@.])(?:example|test|invalid|localhost)(?:\.|$)", re.IGNORECASE)
_EXAMPLE_NETS = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
WHY = "models repeat what they saw even once (arXiv 2012.07805)"


def luhn(number: str) -> bool:
    """Whether the digits have Luhn's checksum: 4539 1488 0343 6467 has it."""
    digits = [int(c) for c in number if c.isdigit()]
    doubled = [sum(divmod(2 * d, 10)) if k % 2 else d for k, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def iban(number: str) -> bool:
    """Whether the number has an IBAN's checksum: its first four signs last, letters as 10 to 35, mod 97 = 1."""
    plain = number.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _public_ip(text: str) -> bool:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return address.is_global and not any(address in net for net in _EXAMPLE_NETS) and not text.endswith(".0")


def _card(text: str) -> bool:
    return len(set(text) - set(" -")) > 2 and text[0] in "23456" and luhn(text)


def _phone(text: str) -> bool:
    digits = [c for c in text if c.isdigit()]
    return 8 <= len(digits) <= 15 and len(set(digits)) > 2 and "555" not in text


KINDS: Mapping[str, tuple[re.Pattern[str], Callable[[str], bool]]] = {
    "e-mail": (_EMAIL, lambda text: _EXAMPLES.search(text) is None),
    "IBAN": (_IBAN, iban),
    "card": (_CARD, _card),
    "SSN": (_SSN, lambda text: text not in ("123-45-6789", "078-05-1120")),
    "phone": (_PHONE, _phone),
    "IP": (_IP, _public_ip),
}


def find_personal(text: str) -> list[tuple[str, str]]:
    """(kind, words) of each piece of personal data."""
    return [
        (kind, match.group())
        for kind, (pattern, holds) in KINDS.items()
        for match in pattern.finditer(text)
        if holds(match.group())
    ]


def redact(text: str) -> str:
    """The text with each piece replaced by its kind in brackets: [e-mail]."""
    for kind, (pattern, holds) in KINDS.items():
        text = pattern.sub(
            lambda match, kind=kind, holds=holds: f"[{kind}]" if holds(match.group()) else match.group(),  # type: ignore[misc]
            text,
        )
    return text


def personal_data(rows: Sequence[Row]) -> Check:
    """Rows in whose prompt or answers personal data stands; the cleaned file has its kind in brackets instead."""
    found, counts = [], Counter[str]()
    for row in rows:
        for name, text in (("prompt", row.prompt), *zip(sides(row), row.answers)):
            for kind, words in find_personal(text):
                found.append(Finding(line=row.line, what=f"{kind} in {name}: {masked(words)}"))
                counts[kind] += 1
    lines = len({finding.line for finding in found})
    shown = ", ".join(f"{n} {kind}" for kind, n in counts.most_common()) or "none"
    return Check(
        name="personal data",
        grade="note" if found else "clean",
        summary=f"{lines} of {len(rows)} rows ({percent(lines / len(rows))}): {shown}",
        why=WHY,
        action="change",
        findings=found,
        numbers=dict(counts),
    )


def masked(text: str) -> str:
    """The text with most of its letters and digits hidden, so that the report does not spread it."""
    return "".join("·" if c.isalnum() and 1 < k < len(text) - 2 else c for k, c in enumerate(text))
