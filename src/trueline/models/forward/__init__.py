"""One forward pass over packed trees: rows, masks and attention, layers, and what is read from them."""
