"""What the benchmarks of training share: models, data, the contenders, and measuring."""
