"""The fair comparison of methods: one base, one budget, equal tuning on development worlds, unseen worlds to judge."""
