"""Trueline measures how unsafe a language model is, treats it, and counts what each treatment bought and cost."""

__version__ = "0.1.0"
