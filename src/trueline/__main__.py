"""``python -m trueline``, which torchrun starts in several processes."""

from trueline.cli.main import main

main()
