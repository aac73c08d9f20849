"""Opens a report in headless Chromium at two widths: it must render, run its script without an error, and stay small.

Usage: python tests/browser/open_report.py REPORT.html [SCREENSHOT_FOLDER]
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTHS = (1280, 420)
MOST_BYTES = 2_000_000
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--hide-scrollbars",
    "--virtual-time-budget=3000",
)


def chromium(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Chromium with a profile of its own."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", *FLAGS, f"--user-data-dir={profile}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def main() -> None:
    """Check the report named on the command line."""
    report = Path(sys.argv[1]).resolve()
    shots = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp())
    shots.mkdir(parents=True, exist_ok=True)
    text = report.read_text(encoding="utf-8")
    before, _, _ = text.partition('id="transcripts"')
    assert len(before.encode()) < MOST_BYTES, f"{len(before.encode())} bytes before the transcripts"
    assert not re.search(r'(src|href)="https?://(?!arxiv\.org)', text), (
        "the report loads something from the network"
    )
    page = chromium("--dump-dom", report.as_uri())
    for heading in ("measures", "cost", "details", "transcripts", "provenance"):
        assert f'id="{heading}"' in page.stdout, f"section {heading} is missing"
    if 'id="frontier-choice"' in text:
        shown = len(re.findall(r"data-frontier=\"\"(?![^>]*hidden)", page.stdout))
        assert shown == 1, f"the script shows {shown} frontiers, not one"
    errors = [line for line in page.stderr.splitlines() if "CONSOLE" in line]
    assert not errors, errors
    for width in WIDTHS:
        shot = shots / f"report-{width}.png"
        chromium(f"--screenshot={shot}", f"--window-size={width},2600", report.as_uri())
        assert shot.stat().st_size > 20_000, f"{shot} is nearly empty"
    sizes = f"{len(before.encode()):,} bytes before transcripts, {len(text.encode()):,} in all"
    print(f"report opens at widths {WIDTHS}: {sizes}")


if __name__ == "__main__":
    main()
