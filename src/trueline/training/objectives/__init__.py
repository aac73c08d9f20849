"""Objectives: one file each, a pure function of named tensors next to the paper's equation."""
